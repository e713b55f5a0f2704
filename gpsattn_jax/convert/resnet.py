"""A bottleneck ResNet's weights under torchvision's names -> the plain ResNet twin."""

import re

import numpy as np

from gpsattn_jax.convert.torch_keys import (
    ConversionError,
    Rule,
    fill,
    foreign_names,
    rename,
)
from gpsattn_jax.models import gsanet
from gpsattn_jax.modules.functional import Functional


def load_resnet(
    arrays: dict[str, np.ndarray],
) -> tuple[Functional, dict, dict]:
    """A state dict of torchvision's (or timm's) ResNet-50, 101, … -> our twin.

    Depths, widths and classes come from the names and shapes.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
    """
    names = [re.match(r"layer(\d+)\.(\d+)\.conv3\.weight", name) for name in arrays]
    places = [(int(match[1]), int(match[2])) for match in names if match]
    groups = sorted({group for group, _ in places})
    if not groups or "fc.weight" not in arrays or "conv1.weight" not in arrays:
        raise ConversionError(
            ["missing: conv1.weight, layer1.0.conv3.weight or fc.weight of a ResNet"]
        )
    layers = tuple(sum(g == group for g, _ in places) for group in groups)
    config = gsanet.Config(
        layers=layers,
        widths=tuple(len(arrays[f"layer{g}.0.conv3.weight"][0]) for g in groups),
        mixers=("conv",) * len(groups),
        num_classes=len(arrays["fc.weight"]),
    )
    network = gsanet.build(config)
    rules = resnet_rules(layers)
    renamed, complaints = rename(arrays, rules)
    return network, *fill(network, renamed, complaints, foreign_names(rules))


def resnet_rules(layers: tuple[int, ...]) -> tuple[Rule, ...]:
    """The renaming table for so many blocks in each group."""
    rules = [
        *_conv_and_norm("conv1", "bn1", "stem", "stem_norm"),
        Rule("fc.weight", "params/head/kernel", np.transpose),
        Rule("fc.bias", "params/head/bias"),
    ]
    places = [(g + 1, i) for g, count in enumerate(layers) for i in range(count)]
    for number, (group, index) in enumerate(places):
        theirs, ours = f"layer{group}.{index}.", f"blocks/{number}/"
        for i, part in enumerate(("reduce", "mix", "expand"), start=1):
            names = f"{theirs}conv{i}", f"{theirs}bn{i}"
            rules += _conv_and_norm(*names, f"{ours}{part}", f"{ours}{part}_norm")
        names = f"{theirs}downsample.0", f"{theirs}downsample.1"
        if index == 0:
            paths = f"{ours}shortcut", f"{ours}shortcut_norm"
            rules += _conv_and_norm(*names, *paths)
    return tuple(rules)


def _conv_and_norm(conv, norm, our_conv, our_norm):
    return (
        Rule(f"{conv}.weight", f"params/{our_conv}/kernel", _to_hwio),
        Rule(f"{norm}.weight", f"params/{our_norm}/scale"),
        Rule(f"{norm}.bias", f"params/{our_norm}/bias"),
        Rule(f"{norm}.running_mean", f"state/{our_norm}/mean"),
        Rule(f"{norm}.running_var", f"state/{our_norm}/var"),
        Rule(f"{norm}.num_batches_tracked", None),
    )


def _to_hwio(weight):
    return weight.transpose(2, 3, 1, 0)
