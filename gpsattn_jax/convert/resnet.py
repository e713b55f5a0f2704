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


def load_resnet(
    arrays: dict[str, np.ndarray], *, headless: bool = False
) -> tuple[gsanet.Config, dict, dict]:
    """A state dict of torchvision's (or timm's) ResNet-50, 101, … -> our twin.

    Depths, widths and classes come from the names and shapes.

    Args:
        arrays: by name.
        headless: whether weights without a head will do.

    Returns:
        (config, params, state); `num_classes` is 0 if there is no head.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
    """
    names = [re.match(r"layer(\d+)\.(\d+)\.conv3\.weight", name) for name in arrays]
    places = [(int(match[1]), int(match[2])) for match in names if match]
    groups = sorted({group for group, _ in places})
    has_head = "fc.weight" in arrays or "fc.bias" in arrays
    needed = ["conv1.weight"] + ["fc.weight"] * (has_head or not headless)
    if not groups or any(not np.ndim(arrays.get(name, 0)) for name in needed):
        raise ConversionError(
            ["missing: conv1.weight, layer1.0.conv3.weight or fc.weight of a ResNet"]
        )
    _check_rank_four(arrays, ["conv1.weight"])
    _check_rank_four(arrays, [f"layer{group}.0.conv3.weight" for group in groups])
    layers = tuple(sum(g == group for g, _ in places) for group in groups)
    config = gsanet.Config(
        layers=layers,
        widths=tuple(len(arrays[f"layer{g}.0.conv3.weight"][0]) for g in groups),
        mixers=("conv",) * len(groups),
        in_channels=arrays["conv1.weight"].shape[1],
        num_classes=len(arrays["fc.weight"]) if has_head else 0,
    )
    rules = resnet_rules(layers)
    if not has_head:
        rules = tuple(rule for rule in rules if not rule.name.startswith("fc."))
    renamed, complaints = rename(arrays, rules)
    network = gsanet.build(config)
    return config, *fill(network, renamed, complaints, foreign_names(rules))


def _check_rank_four(arrays, names):
    complaints = [
        f"misshapen: {name} {arrays[name].shape}: must have four axes"
        if name in arrays
        else f"missing: {name} of a ResNet"
        for name in names
        if name not in arrays or arrays[name].ndim != 4
    ]
    if complaints:
        raise ConversionError(complaints)


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
