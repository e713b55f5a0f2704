"""Weights of one network as the start of another: fine-tuning."""

import re
from typing import Any

import jax
import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.torch_keys import ConversionError, fill
from gpsattn_jax.modules.functional import Functional

# Another network differs in hundreds of arrays; a few tell enough.
MOST_COMPLAINTS = 12


def graft(
    network: Functional,
    key: jax.Array,
    params: Any,
    state: Any,
    *,
    head: str = r"head/",
) -> tuple[dict, dict, list[str]]:
    """The network's own start, with all that fits taken from other weights.

    A head of another width starts afresh. Tables of relative positions for another
    size of image are cut, or filled up with zeros, around distance zero.

    Args:
        network: what will be trained.
        key: random key of what starts afresh.
        params: of the trained network.
        state: its batch statistics.
        head: pattern that the paths of the head begin with.

    Returns:
        (params, state, a line for each array that was not taken as it is).

    Raises:
        ConversionError: lists the other arrays that are missing, unmatched or of
            another shape, up to twelve.
    """
    start = dict(zip(("params", "state"), network.init(key), strict=True))
    arrays = flatten({"params": params, "state": state})
    lines = []
    for name, own in flatten(start).items():
        there = arrays.get(name)
        if there is None or there.shape == own.shape:
            continue
        if re.match(head, name.removeprefix("params/")):
            arrays[name] = own
            lines.append(f"{name} {there.shape} starts afresh as {own.shape}.")
        elif name.endswith("_table") and there.shape[1:] == own.shape[1:]:
            arrays[name] = _resized(np.asarray(there), len(own))
            lines.append(f"{name} {there.shape} cut or filled to {own.shape}.")
    try:
        return *fill(network, arrays), lines
    except ConversionError as error:
        raise _shortened(error) from None


def _shortened(error):
    rest = len(error.complaints) - MOST_COMPLAINTS
    if rest <= 0:
        return error
    return ConversionError([*error.complaints[:-rest], f"… and {rest} more"])


def _resized(table, rows):
    """[R, D] -> [rows, D] with the middle row in the middle; both lengths are odd."""
    change = (rows - len(table)) // 2
    if change < 0:
        return table[-change:change]
    return np.pad(table, ((change, change), (0, 0)))
