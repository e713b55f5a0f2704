"""Multiply-adds of the matmuls and convolutions in XLA's text."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from gpsattn_jax.systems.planning.hlo import Array, Instruction


def count_flops(instruction: Instruction, by_name: Mapping[str, Instruction]) -> float:
    """Operations of a matmul or a convolution, two for each multiply-add; else 0.

    Args:
        instruction: any.
        by_name: the instructions of its computation.
    """
    if instruction.kind == "dot":
        left = _array(by_name, instruction.operands[0])
        axes = _numbers(instruction.text, "lhs_contracting_dims")
        contracted = math.prod(left.shape[axis] for axis in axes)
        return 2.0 * math.prod(instruction.results[0].shape) * contracted
    if instruction.kind == "convolution":
        return _convolution_flops(instruction, by_name)
    return 0.0


def _convolution_flops(instruction, by_name):
    """Multiply-adds, without those whose factor is padding or a dilation's gap.

    A TPU's matmuls are convolutions, too: batches of them are spread by a dilation.
    """
    left, right = (_array(by_name, name) for name in instruction.operands[:2])
    out = instruction.results[0]
    labels = re.findall(r"dim_labels=(\w+)_(\w+)->(\w+)", instruction.text)
    lefts, rights, outs = labels[0]
    window = _window(instruction.text)
    positions = 1.0
    for axis in sorted(set(lefts) - set("bf")):
        positions *= _valid(
            left.shape[lefts.index(axis)],
            right.shape[rights.index(axis)],
            out.shape[outs.index(axis)],
            **{name: values[int(axis)] for name, values in window.items()},
        )
    features = right.shape[rights.index("i")] * out.shape[outs.index("f")]
    return 2.0 * out.shape[outs.index("b")] * features * positions


def _valid(length, taps, results, pad=(0, 0), stride=1, lhs_dilate=1, rhs_dilate=1):
    """Pairs of a result and a tap that meet a value."""
    places = np.arange(results)[:, None] * stride - pad[0]
    places = places + np.arange(taps)[None] * rhs_dilate
    inside = (places >= 0) & (places % lhs_dilate == 0)
    return int((inside & (places // lhs_dilate < length)).sum())


def _window(text):
    """{size: …} of each axis, as `_valid` takes them."""
    match = re.search(r"window=\{([^}]*)\}", text)
    fields = dict(part.split("=") for part in match[1].split()) if match else {}
    found: dict[str, list[Any]] = {}
    for name in ("stride", "lhs_dilate", "rhs_dilate"):
        if name in fields:
            found[name] = [int(n) for n in fields[name].split("x")]
    if "pad" in fields:
        found["pad"] = [
            tuple(int(n) for n in pair.split("_")) for pair in fields["pad"].split("x")
        ]
    return found


def _array(by_name: Mapping[str, Instruction], name: str) -> Array:
    return by_name[name].results[0]


def _numbers(text, attribute):
    match = re.search(rf"{attribute}=\{{([\d,]*)\}}", text)
    return [int(n) for n in match[1].split(",") if n] if match else []
