"""TransXNet weights: the official code's names -> ours, and back; our own files."""

import dataclasses
import math
import re
from typing import Any

import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.heads import reshaped
from gpsattn_jax.convert.saved import load_saved
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
RESHAPING = ("num_classes", "features_only", "image_size", "in_channels")
FREE = ("scale", "drop_path", "dropout", "remat", "table_resize", *RESHAPING)


def load_network(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, str],
    *,
    headless: bool = False,
    **options: Any,
) -> tuple[Functional, dict, dict]:
    """A TransXNet: an official checkpoint's state dict, or our own file.

    Depths, widths, heads, groups, ratios, image size and classes come from the names
    and shapes; the drop path from the published variant of these sizes.

    Args:
        arrays: by name.
        metadata: of the file.
        headless: whether weights without a head will do; the network then gives
            features, as with `num_classes=0`. Where num_classes or features_only is
            given, the head is not needed either.
        **options: fields of `transxnet.Config` that leave no trace in names and shapes
            (scale, drop_path, dropout, remat, table_resize), or that change the network
            that comes out: num_classes (another number starts the head afresh, 0 has
            none), features_only (feature norms start afresh), image_size (the position
            tables are resized), in_channels (the stem is made from that for three).

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: for other options.
    """
    unknown = sorted(set(options) - set(FREE))
    if unknown:
        raise ValueError(
            f"options must be among {', '.join(FREE)}; got {', '.join(unknown)}."
        )
    free = {name: value for name, value in options.items() if name not in RESHAPING}
    if is_ours(arrays):
        build, kind = transxnet.build, transxnet.Config
        found, _, params, state = load_saved(build, kind, arrays, metadata, **free)
    else:
        headless = headless or bool({"num_classes", "features_only"} & set(options))
        found, params, state = _load_official(arrays, headless, free)
        if found.features_only and (headless and "features_only" not in options):
            options["features_only"] = False
            options.setdefault("num_classes", 0)
    wanted = dataclasses.replace(found, **options)
    if wanted.image_size != found.image_size:
        params = transxnet.resize_tables(found, params, wanted.image_size)
    return reshaped(transxnet.build, found, wanted, params, state)


def _load_official(arrays, headless, options):
    """(config, params, state) of a state dict, as they are."""
    found = infer_config(arrays)
    if headless and not found.features_only and not _has_head(arrays):
        found = dataclasses.replace(found, num_classes=0)
        width = found.widths[-1]
        print(
            "The weights have no head; what stands before it starts afresh if lacking."
        )
        start = {"weight": np.ones(width), "bias": np.zeros(width)}
        start = {f"classifier.0.{name}": array for name, array in start.items()}
        arrays = {k: v.astype(np.float32) for k, v in start.items()} | arrays
    found = dataclasses.replace(found, **options)
    rules = network_rules(found)
    renamed, complaints = rename(arrays, rules)
    network = transxnet.build(found)
    return found, *fill(network, renamed, complaints, foreign_names(rules))


def _has_head(arrays):
    return any(name.startswith("classifier.2.") for name in arrays)


def to_torch(config: transxnet.Config, params: dict, state: dict) -> dict[str, Any]:
    """Our weights under the official names: what its `load_state_dict` takes.

    The counters `num_batches_tracked` are zero: nothing reads them there.

    Args:
        config: what the network was built from.
        params: its parameters.
        state: its batch statistics.
    """
    arrays = flatten({"params": params, "state": state})
    parts: dict[str, list[np.ndarray]] = {}
    axes = {}
    for rule in network_rules(config):
        axes[rule.name] = rule.axis
        ours = np.zeros((), np.int64) if rule.path is None else arrays[rule.path]
        parts.setdefault(rule.name, []).append(rule.back(np.asarray(ours)))

    def joined(name, found):
        one = len(found) == 1 or not found[0].ndim
        whole = found[0] if one else np.concatenate(found, axes[name])
        return np.asarray(whole, order="C")  # a counter [] stays one

    return {name: joined(name, found) for name, found in parts.items()}


def infer_config(arrays: dict[str, np.ndarray]) -> transxnet.Config:
    """The network that official names and shapes belong to.

    Raises:
        ConversionError: if they are no TransXNet's.
    """
    blocks = [re.match(r"network\.(\d+)\.(\d+)\.", name) for name in arrays]
    places = {(int(match[1]), int(match[2])) for match in blocks if match}
    # Downsamplings have the odd numbers in between.
    stages = range(0, max((stage for stage, _ in places), default=0) + 1, 2)
    found = _sizes(arrays, stages)
    depths = tuple(sum(place[0] == stage for place in places) for stage in stages)
    config = transxnet.Config(depths=depths, **found)
    for published in transxnet.VARIANTS.values():
        if (published.depths, published.widths) == (config.depths, config.widths):
            return dataclasses.replace(config, drop_path=published.drop_path)
    return config


def _sizes(arrays, stages):
    """All fields but the depths, from the first block of each stage."""
    stem = "patch_embed.proj.conv.weight"
    tables = [f"relative_pos_enc.{number}" for number in range(len(stages))]
    parts = ("pos_embed.weight", "token_mixer.local_unit.weight", "mlp.fc1.0.weight")
    widths, mixers, hidden = (
        [f"network.{stage}.0.{part}" for stage in stages] for part in parts
    )
    _check_rank_four(arrays, [stem, *tables, *widths, *mixers, *hidden])
    stem, *_ = _shapes(arrays, [stem])
    tables, mixers = _shapes(arrays, tables), _shapes(arrays, mixers)
    widths, hidden = (
        [shape[0] for shape in _shapes(arrays, names)] for names in (widths, hidden)
    )
    side = math.isqrt(tables[0][2])
    if side**2 != tables[0][2]:
        raise ConversionError(
            [f"misshapen: relative_pos_enc.0 {tables[0]}: must be of a square image"]
        )
    ratios = zip(hidden, widths, strict=True)
    # By any name of a part, so that one that is missing is all that is reported.
    heads = [arrays.get(f"classifier.2.{part}") for part in ("bias", "weight")]
    heads = [head for head in heads if head is not None and head.ndim]
    scaled = any(".layer_scale_" in name for name in arrays)
    batched = any(".norm1.running_" in name for name in arrays)
    maps = any(re.match(r"norm\d+\.", name) for name in arrays)
    return {
        "widths": tuple(widths),
        "num_heads": tuple(shape[1] for shape in tables),
        "num_groups": tuple(shape[0] for shape in mixers),
        "kernel_sizes": tuple(shape[2] for shape in mixers),
        "reductions": tuple(_reduction(arrays, stage) for stage in stages),
        "mlp_ratios": tuple(_ratio(*pair) for pair in ratios),
        "remat": (False,) * len(stages),
        "image_size": 4 * side,
        "norm": "batch" if batched else "group",
        "layer_scale": 1e-5 if scaled else None,
        "in_channels": stem[1],
        "features_only": maps and not heads,
        "num_classes": heads[0].shape[0] if heads else 1000,
    }


def _reduction(arrays, stage):
    """A stage's, from the kernel size of its convolution; 1 where there is none."""
    reduction = f"network.{stage}.0.token_mixer.global_unit.sr."
    if not any(name.startswith(reduction) for name in arrays):
        return 1
    kernel = f"{reduction}0.conv.weight"
    _check_rank_four(arrays, [kernel])
    return arrays[kernel].shape[2] - 3


def _shapes(arrays, names):
    return [arrays[name].shape for name in names]


def _check_rank_four(arrays, names):
    """What tells the sizes has to be there; all of it has four axes."""
    complaints = [f"missing: {n} of a TransXNet" for n in names if n not in arrays]
    if not complaints:
        complaints = [
            f"misshapen: {name} {arrays[name].shape}: must have four axes"
            for name in names
            if arrays[name].ndim != 4
        ]
    if complaints:
        raise ConversionError(complaints)


def _ratio(hidden, width):
    """The ratio of which `int(ratio * width)` is `hidden`, whole if it can be."""
    return hidden // width if hidden % width == 0 else (hidden + 0.5) / width
