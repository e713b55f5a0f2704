"""Weights of one network as the start of another: fine-tuning."""

import re
from typing import Any

import jax
import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.torch_keys import ConversionError
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
    found = flatten({"params": params, "state": state})
    wanted = flatten(start)
    complaints = [
        f"unmatched: {name} {found[name].shape}" for name in found if name not in wanted
    ]
    taken, lines = {}, []
    for name, own in wanted.items():
        there = found.get(name)
        if there is None:
            complaints.append(f"missing: {name} {own.shape}")
        elif there.shape == own.shape:
            taken[name] = np.asarray(there, own.dtype)
        elif re.match(head, name.removeprefix("params/")):
            taken[name] = own
            lines.append(f"{name} {there.shape} starts afresh as {own.shape}.")
        elif name.endswith("_table") and there.shape[1:] == own.shape[1:]:
            taken[name] = _resized(np.asarray(there), len(own))
            lines.append(f"{name} {there.shape} cut or filled to {own.shape}.")
        else:
            complaints.append(
                f"misshapen: {name} must be {own.shape}; got {there.shape}"
            )
    if len(complaints) > MOST_COMPLAINTS:
        rest = len(complaints) - MOST_COMPLAINTS
        complaints = [*complaints[:MOST_COMPLAINTS], f"… and {rest} more"]
    if complaints:
        raise ConversionError(complaints)
    leaves = [jax.numpy.asarray(taken[name]) for name in wanted]
    filled = jax.tree.unflatten(jax.tree.structure(start), leaves)
    return filled["params"], filled["state"], lines


def _resized(table, rows):
    """[R, D] -> [rows, D] with the middle row in the middle; both lengths are odd."""
    change = (rows - len(table)) // 2
    if change < 0:
        return table[-change:change]
    return np.pad(table, ((change, change), (0, 0)))
