"""Weights of one network as the start of another: fine-tuning."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.torch_keys import ConversionError, fill
from gpsattn_jax.modules.functional import Functional

# Another network differs in hundreds of arrays; a few tell enough.
MOST_COMPLAINTS = 12

# (path, array, wanted shape) -> (array of that shape, what was done), or None.
Fit = Callable[
    [str, np.ndarray, tuple[int, ...]], tuple[np.ndarray | jax.Array, str] | None
]


def fit_relative_table(
    path: str, array: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, str] | None:
    """A table of relative positions [R, D] with distance zero in the middle.

    It is cut, or filled up with zeros, around the middle row; both lengths are odd.

    Args:
        path: of the array, "params/…".
        array: the table as it was saved.
        shape: of the network's.

    Returns:
        (the table in that shape, what was done); None if it is no such table.
    """
    if not path.endswith("_table") or array.shape[1:] != shape[1:]:
        return None
    change = (shape[0] - len(array)) // 2
    if change < 0:
        return array[-change:change], "cut or filled"
    return np.pad(array, ((change, change), (0, 0))), "cut or filled"


def graft(
    network: Functional,
    key: jax.Array,
    params: Any,
    state: Any,
    *,
    fit: Fit = fit_relative_table,
) -> tuple[dict, dict, list[str]]:
    """The network's own start, with all that fits taken from other weights.

    A head of another width starts afresh; tables of positions for another size of image
    are fitted.

    Args:
        network: what will be trained.
        key: random key of what starts afresh.
        params: of the trained network.
        state: its batch statistics.
        fit: makes an array have another shape, where the system knows how.

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
        if name.startswith("params/head/"):
            arrays[name] = own
            lines.append(f"{name} {there.shape} starts afresh as {own.shape}.")
        elif fitted := fit(name, np.asarray(there), own.shape):
            arrays[name], done = fitted
            lines.append(f"{name} {there.shape} {done} to {own.shape}.")
    try:
        return *fill(network, arrays), lines
    except ConversionError as error:
        raise _shortened(error) from None


def _shortened(error):
    rest = len(error.complaints) - MOST_COMPLAINTS
    if rest <= 0:
        return error
    return ConversionError([*error.complaints[:-rest], f"… and {rest} more"])
