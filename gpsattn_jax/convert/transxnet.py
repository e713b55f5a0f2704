"""TransXNet weights: the official code's names -> ours, and back; our own files."""

import dataclasses
import json
import math
import re
from typing import Any

import jax
import numpy as np

from gpsattn_jax.configs import from_dict
from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.torch_keys import (
    ConversionError,
    fill,
    foreign_names,
    is_ours,
    rename,
)
from gpsattn_jax.convert.transxnet_rules import network_rules
from gpsattn_jax.models import transxnet
from gpsattn_jax.modules.functional import Functional

# Fields that leave no trace in names and shapes, and those that change the network.
RESHAPING = ("num_classes", "features_only", "image_size")
FREE = ("scale", "drop_path", "dropout", "remat", "table_resize", *RESHAPING)


def load_network(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, str],
    **options: Any,
) -> tuple[Functional, dict, dict]:
    """A TransXNet: an official checkpoint's state dict, or our own file.

    Depths, widths, heads, groups, ratios, image size and classes come from the names
    and shapes; the drop path from the published variant of these sizes.

    Args:
        arrays: by name.
        metadata: of the file.
        **options: fields of `transxnet.Config` that leave no trace in names and shapes
            (scale, drop_path, dropout, remat, table_resize), or that change the network
            that comes out: num_classes (another number starts the head afresh),
            features_only (feature norms start afresh), image_size (the position tables
            are resized).

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: for other options.
    """
    unknown = sorted(set(options) - set(FREE))
    if unknown:
        raise ValueError(
            f"options must be among {', '.join(FREE)}; got {', '.join(unknown)}."
        )
    if is_ours(arrays):
        if "config" not in metadata:
            raise ValueError(
                "These weights carry no config; save them with "
                "convert.save(path, params, state, config)."
            )
        found = from_dict(transxnet.Config, json.loads(metadata["config"]))
        renamed, complaints, names = arrays, [], {}
    else:
        found = infer_config(arrays)
        rules = network_rules(found)
        renamed, complaints = rename(arrays, rules)
        names = foreign_names(rules)
    kept = {name: value for name, value in options.items() if name not in RESHAPING}
    found = dataclasses.replace(found, **kept)
    network = transxnet.build(found)
    weights = fill(network, renamed, complaints, names)
    return _reshaped(found, dataclasses.replace(found, **options), network, *weights)


def to_torch(config: transxnet.Config, params: dict, state: dict) -> dict[str, Any]:
    """Our weights under the official names: what its `load_state_dict` takes.

    The counters `num_batches_tracked` are zero: nothing reads them there.

    Args:
        config: what the network was built from.
        params: its parameters.
        state: its batch statistics.
    """
    arrays = flatten({"params": params, "state": state})
    found = {}
    for rule in network_rules(config):
        if rule.path is None:
            found[rule.name] = np.zeros((), np.int64)
        else:
            found[rule.name] = np.ascontiguousarray(
                rule.back(np.asarray(arrays[rule.path]))
            )
    return found


def infer_config(arrays: dict[str, np.ndarray]) -> transxnet.Config:
    """The network that official names and shapes belong to.

    Raises:
        ConversionError: if they are no TransXNet's.
    """
    blocks = [re.match(r"network\.(\d+)\.(\d+)\.", name) for name in arrays]
    places = {(int(match[1]), int(match[2])) for match in blocks if match}
    stages = sorted({stage for stage, _ in places})
    try:
        if stages != list(range(0, 2 * len(stages), 2)) or not stages:
            raise KeyError("network.0.0.pos_embed.weight")
        found = _sizes(arrays, stages)
    except (KeyError, IndexError) as error:
        raise ConversionError([f"missing: {error.args[0]} of a TransXNet"]) from None
    depths = tuple(sum(place[0] == stage for place in places) for stage in stages)
    config = transxnet.Config(depths=depths, **found)
    for published in transxnet.VARIANTS.values():
        if (published.depths, published.widths) == (config.depths, config.widths):
            return dataclasses.replace(config, drop_path=published.drop_path)
    return config


def _sizes(arrays, stages):
    """All fields but the depths, from the first block of each stage."""

    def shapes(name):
        return [arrays[f"network.{stage}.0.{name}"].shape for stage in stages]

    mixers = shapes("token_mixer.local_unit.weight")
    tables = [arrays[f"relative_pos_enc.{n}"].shape for n in range(len(stages))]
    widths = [shape[0] for shape in shapes("pos_embed.weight")]
    side = math.isqrt(tables[0][2])
    if side**2 != tables[0][2]:
        raise ConversionError(
            [f"misshapen: relative_pos_enc.0 {tables[0]}: must be of a square image"]
        )
    reduce = "network.{}.0.token_mixer.global_unit.sr.0.conv.weight"
    strides = [arrays.get(reduce.format(stage)) for stage in stages]
    ratios = zip(shapes("mlp.fc1.0.weight"), widths, strict=True)
    classifies = "classifier.2.weight" in arrays
    scaled = "network.0.0.layer_scale_1.weight" in arrays
    return {
        "widths": tuple(widths),
        "num_heads": tuple(shape[1] for shape in tables),
        "num_groups": tuple(shape[0] for shape in mixers),
        "kernel_sizes": tuple(shape[2] for shape in mixers),
        "reductions": tuple(1 if w is None else w.shape[2] - 3 for w in strides),
        "mlp_ratios": tuple(_ratio(shape[0], width) for shape, width in ratios),
        "remat": (False,) * len(stages),
        "image_size": 4 * side,
        "norm": "batch" if "network.0.0.norm1.running_mean" in arrays else "group",
        "layer_scale": 1e-5 if scaled else None,
        "in_channels": arrays["patch_embed.proj.conv.weight"].shape[1],
        "features_only": not classifies and "norm0.weight" in arrays,
        "num_classes": len(arrays["classifier.2.weight"]) if classifies else 1000,
    }


def _ratio(hidden, width):
    """The ratio of which `int(ratio * width)` is `hidden`, whole if it can be."""
    return hidden // width if hidden % width == 0 else (hidden + 0.5) / width


def _reshaped(found, wanted, network, params, state):
    """Another image size, head or kind of output, where it is asked for."""
    if wanted == found:
        return network, params, state
    network = transxnet.build(wanted)
    start = network.init(jax.random.key(0))[0]
    params = transxnet.resize_tables(found, params, wanted.image_size)
    # The same parts as a start has, from the weights where they fit.
    fresh = {"norm", "feature_norms"} - params.keys()
    if wanted.num_classes != found.num_classes:
        fresh.add("head")
    taken = {
        part: start[part] if part in fresh else params.get(part, start[part])
        for part in start
    }
    return network, taken, state
