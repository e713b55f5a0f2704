"""Semantic FPN weights: mmsegmentation's names, backbones alone, and our own files."""

import dataclasses
import re
from typing import Any

import jax
import numpy as np

from gpsattn_jax.convert import gsanet, transxnet
from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.heads import reshaped
from gpsattn_jax.convert.saved import load_saved, saved_fields
from gpsattn_jax.convert.torch_keys import (
    ConversionError,
    Rule,
    fill,
    foreign_names,
    is_ours,
    rename,
)
from gpsattn_jax.convert.transxnet_rules import norm_rules
from gpsattn_jax.models import semantic_fpn
from gpsattn_jax.modules.functional import Functional

BACKBONE = "backbone."
HEAD = ("neck.", "decode_head.")
Arrays = dict[str, np.ndarray]


def load_network(
    arrays: Arrays,
    metadata: dict[str, str],
    *,
    headless: bool = False,
    num_classes: int | None = None,
    channels: int = 256,
    head_channels: int = 128,
) -> tuple[Functional, dict, dict]:
    """A Semantic FPN of mmsegmentation, a backbone under a fresh one, or our own file.

    A backbone is TransXNet or a ResNet: a classifier's weights, or what stands below
    `backbone.` in files of mmsegmentation and mmdetection.

    Args:
        arrays: by name.
        metadata: of the file.
        headless: whether a backbone will do; pyramid and head then start afresh.
        num_classes: another number than the file's starts the classifier afresh.
        channels: of a pyramid that starts afresh.
        head_channels: of a head that starts afresh.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
    """
    if is_ours(arrays) and "backbone" in (saved_fields(metadata) or {}):
        build, kind = semantic_fpn.build, semantic_fpn.Config
        found, _, params, state = load_saved(build, kind, arrays, metadata)
    else:
        below, rest = _split(arrays)
        name, maps, weights = _load_backbone(below, metadata)
        fields: dict[str, Any] = {"backbone": name, name: maps}
        if _is_fpn_head(rest):
            found, params, state = _with_head(fields, weights, rest)
        elif headless:
            fields |= {"channels": channels, "head_channels": head_channels}
            if num_classes is not None:
                fields["num_classes"] = num_classes
            found, params, state = _under_fresh_head(fields, weights, rest)
        else:
            raise ConversionError(
                [
                    "missing: decode_head.scale_heads.0.0.conv.weight of a Semantic "
                    "FPN; headless=True takes the backbone alone"
                ]
            )
    classes = found.num_classes if num_classes is None else num_classes
    wanted = dataclasses.replace(found, num_classes=classes)
    return reshaped(semantic_fpn.build, found, wanted, params, state)


def head_rules(stages: int) -> list[Rule]:
    """The renaming table of mmsegmentation's `FPN` and `FPNHead`."""
    rules = []
    for stage in range(stages):
        for theirs, ours in (("lateral_convs", "laterals"), ("fpn_convs", "outputs")):
            names = f"neck.{theirs}.{stage}.conv", f"neck/{ours}/{stage}"
            rules += _conv_rules(*names, bias=True)
        for layer in range(max(1, stage)):
            # An upsampling, which has no weights, stands behind each convolution.
            theirs = f"decode_head.scale_heads.{stage}.{2 * layer if stage else 0}."
            ours = f"scales/{stage}/{layer}/"
            rules += _conv_rules(f"{theirs}conv", f"{ours}conv", bias=False)
            rules += norm_rules(f"{theirs}bn.", f"{ours}norm/")
    return rules + _conv_rules("decode_head.conv_seg", "head", bias=True)


def _split(arrays):
    """The backbone's arrays by its own names, and those of what stands beside it."""
    if not any(name.startswith(BACKBONE) for name in arrays):
        return arrays, {}
    below, rest, others = {}, {}, set()
    for name, array in arrays.items():
        if name.startswith(BACKBONE):
            below[name.removeprefix(BACKBONE)] = array
        elif name.startswith(HEAD):
            rest[name] = array
        else:
            others.add(name.split(".")[0])
    if others:
        print(f"Left out: {', '.join(f'{name}.*' for name in sorted(others))}.")
    return below, rest


def _load_backbone(arrays, metadata):
    """(its name, its config, its params and state), without a head of its own."""
    ours = (saved_fields(metadata) or {}) if is_ours(arrays) else {}
    if any(re.match(r"stem\.\d+\.", name) for name in arrays):
        raise ConversionError(
            [
                "unmatched: stem.0.weight: a deep stem (ResNetV1c) of three "
                "convolutions; the stem here is one of 7x7 (style pytorch)"
            ]
        )
    if "depths" in ours or any(name.startswith("patch_embed.") for name in arrays):
        name, load = "transxnet", transxnet.load_network
    elif "layers" in ours or any(name.startswith("layer1.") for name in arrays):
        name, load = "gsanet", gsanet.load_network
    else:
        raise ConversionError(
            ["missing: patch_embed.* of a TransXNet, or layer1.* of a ResNet"]
        )
    network: Any
    network, *weights = load(arrays, metadata, features_only=True)
    return name, network.config, weights


def _is_fpn_head(rest):
    return "decode_head.scale_heads.0.0.conv.weight" in rest


def _with_head(fields, weights, rest):
    """(config, params, state) of a whole file."""
    named = {
        "channels": "neck.lateral_convs.0.conv.weight",
        "head_channels": "decode_head.scale_heads.0.0.conv.weight",
        "num_classes": "decode_head.conv_seg.weight",
    }
    missing = [name for name in named.values() if not np.ndim(rest.get(name, 0))]
    if missing:
        raise ConversionError([f"missing: {n} of a Semantic FPN" for n in missing])
    fields |= {field: len(rest[name]) for field, name in named.items()}
    found = semantic_fpn.Config(**fields)
    rules = head_rules(len(found.maps.widths))
    renamed, complaints = rename(rest, rules)
    network = semantic_fpn.build(found)
    every = renamed | _below(weights)
    return found, *fill(network, every, complaints, foreign_names(rules))


def _under_fresh_head(fields, weights, rest):
    """(config, params, state): the rest of the network at its start."""
    if rest:
        parts = sorted({name.split(".")[0] for name in rest})
        print(f"Left out, as of another head: {', '.join(f'{p}.*' for p in parts)}.")
    found = semantic_fpn.Config(**fields)
    network = semantic_fpn.build(found)
    params, state = network.init(jax.random.key(0))
    start = flatten({"params": params, "state": state})
    return found, *fill(network, start | _below(weights))


def _below(weights):
    """Arrays of a backbone by their paths in the whole network."""
    params, state = weights
    return flatten({"params": {"backbone": params}, "state": {"backbone": state}})


def _conv_rules(theirs, ours, *, bias):
    rules = [Rule(f"{theirs}.weight", f"params/{ours}/kernel", _to_hwio)]
    return rules + [Rule(f"{theirs}.bias", f"params/{ours}/bias")] * bias


def _to_hwio(weight):
    return weight.transpose(2, 3, 1, 0)
