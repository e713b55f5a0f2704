"""The order of an array's axes: frames, persons, joints and channels."""

from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import notice

AXES = ("auto", "tmvc", "ctvm", "mtvc")
WIDTHS = (2, 3, 4)  # numbers that a joint may have
# What transposes an array, and its mask, to [T, M, V, C].
TURNS = {"tmvc": (0, 1, 2, 3), "mtvc": (1, 0, 2, 3), "ctvm": (1, 3, 2, 0)}
_MASK_TURNS = {"tmvc": (0, 1, 2), "mtvc": (1, 0, 2), "ctvm": (0, 2, 1)}


def possible_orders(array: np.ndarray, num_joints: int) -> set[str]:
    """The orders that an array [a, b, V, d] can have; none if V is elsewhere.

    Where several fit: no clip has more persons than frames, and in none is x or y zero
    throughout, or x the same as y, as with absent or repeated persons that are taken
    for coordinates.
    """
    if array.ndim != 4 or array.shape[2] != num_joints:
        return set()
    if not array.size:
        return {"tmvc"}
    fitting = {axes for axes in TURNS if _fits(array.shape, axes)}
    if array.shape[0] == array.shape[1] == 1:
        fitting.discard("mtvc")  # the same array
    likely = {axes for axes in fitting if _persons(array.shape, axes)[0] <= 0}
    likely = likely or fitting
    if len(likely) > 1 and array.dtype.kind in "fiu":
        likely = {axes for axes in likely if _are_coordinates(array, axes)} or likely
    return likely


def common_order(
    arrays: Sequence[tuple[str, np.ndarray]], layout: Layout, axes: str, where: str
) -> str:
    """The order of a set's arrays, of which those of four axes decide.

    Args:
        arrays: (name, array) of each clip.
        layout: of the joints.
        axes: one of `AXES`; what is not "auto" is taken.
        where: begins messages on the whole set.

    Raises:
        ValueError: if two orders fit all arrays, or none does.
    """
    left, first = set(TURNS), ""
    for name, array in arrays:
        possible = possible_orders(array, layout.num_joints)
        if axes != "auto" and possible and axes not in possible:
            _doubt(name, array, axes)
        if axes == "auto" and possible:
            if not left & possible:
                raise ValueError(
                    f"{name}: axes must be {' or '.join(sorted(left))} as in {first}; "
                    f"got {array.shape}. Name their order with --data.axes."
                )
            left, first = left & possible, first or name
    if axes != "auto":
        return axes
    if not first or left == {"tmvc"}:
        return "tmvc"
    if len(left) > 1:
        shape = next(array.shape for name, array in arrays if name == first)
        meanings = " or ".join(_meaning(shape, order) for order in sorted(left))
        raise ValueError(
            f"{where}: the order of axes is ambiguous; {first} has {shape}, which can "
            f"be {meanings}. Name it with --data.axes."
        )
    return left.pop()


def ordered(
    name: str,
    array: np.ndarray,
    mask: np.ndarray | None,
    axes: str,
    layout: Layout,
) -> tuple[np.ndarray, np.ndarray | None]:
    """An array and its mask as [T, M, V, C] and [T, M, V], or without M.

    Args:
        name: of the clip.
        array: three or four axes; others pass for `join_clips` to refuse.
        mask: like the array without C, or None.
        axes: the order of four axes; three are [T, V, C], or [C, T, V] where only that
            fits.
        layout: of the joints.

    Raises:
        ValueError: names the clip that cannot have that order.
    """
    joints = layout.num_joints
    if array.ndim == 3:
        first, _, last = array.shape
        swapped = last == joints and first in WIDTHS
        plain = array.shape[1] == joints and last in WIDTHS
        if swapped and (not plain or axes == "ctvm"):
            array = array.transpose(1, 2, 0)
        return array, mask
    if array.ndim != 4 or axes == "tmvc":
        return array, mask
    if array.shape[2] == joints and not _fits(array.shape, axes):
        raise ValueError(
            f"{name}: axes must be {_letters(axes)} (data.axes={axes}) with 2 to 4 "
            f"channels; got {array.shape}."
        )
    if mask is not None and mask.ndim == 3:
        mask = mask.transpose(_MASK_TURNS[axes])
    return array.transpose(TURNS[axes]), mask


def _fits(shape, axes):
    return shape[axes.index("c")] in WIDTHS


def _persons(shape, axes):
    """How many more persons than frames; frames and persons."""
    persons, frames = shape[axes.index("m")], shape[axes.index("t")]
    return persons - frames, frames, persons


def _are_coordinates(array, axes):
    x, y = (np.take(array, place, axis=axes.index("c")) for place in (0, 1))
    return bool(x.any() and y.any() and (x != y).any())


def _doubt(name, array, axes):
    more, frames, persons = _persons(array.shape, axes)
    if more > 0:
        notice(
            f"{name}: {array.shape} with data.axes={axes} has {frames} frames of "
            f"{persons} persons."
        )


def _meaning(shape, axes):
    _, frames, persons = _persons(shape, axes)
    channels = shape[axes.index("c")]
    return f"{axes} ({frames} frames of {persons} persons, {channels} channels)"


def _letters(axes):
    return f"[{', '.join(axes.upper())}]"
