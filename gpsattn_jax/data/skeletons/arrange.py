"""Arrays as their files have them -> frames, persons, joints, coordinates."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.skeletons.bad_clips import BadClips
from gpsattn_jax.data.skeletons.channels import (
    ChannelRange,
    channels_of,
    split_confidence,
)
from gpsattn_jax.data.skeletons.gaps import missing_joints
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import notice
from gpsattn_jax.data.skeletons.orders import common_order, ordered
from gpsattn_jax.data.skeletons.reading import RawClip, Reading

Arranged = list[tuple[int, np.ndarray, np.ndarray | None]]  # place, joints, mask


def arrange(
    clips: Sequence[RawClip],
    layout: Layout,
    reading: Reading,
    where: str,
    bad: BadClips,
) -> tuple[Arranged, Reading]:
    """Clips as [T, M, V, C] or [T, V, C] without confidences, and their masks.

    Args:
        clips: as their files have them.
        layout: of the joints.
        reading: what the flags say.
        where: what the clips are of; begins messages on all of them.
        bad: receives the clips that do not fit.

    Returns:
        ([(place in `clips`, joints, mask or None)], the reading with what the arrays
        showed in place of "auto"). A clip without mask and confidence has no mask.

    Raises:
        ValueError: if the order or the channels are ambiguous; names the flag.
    """
    free = [(clip.name, clip.joints) for clip in clips if clip.axes == "auto"]
    axes = common_order(free, layout, reading.axes, where)
    arrays = []
    for place, clip in enumerate(clips):
        order = axes if clip.axes == "auto" else clip.axes
        try:
            arrays.append(
                (place, *ordered(clip.name, clip.joints, clip.mask, order, layout))
            )
        except ValueError as error:
            bad.add(clip.name, error)
    channels = _free_channels(
        [(clips[place].name, a) for place, a, _ in arrays
         if clips[place].channels == "auto"],
        layout, reading.channels, where,
    )  # fmt: skip
    found: Arranged = []
    for place, array, mask in arrays:
        clip = clips[place]
        if not _is_of(array, layout):
            found.append((place, array, mask))  # `check_clip` says what is wrong
            continue
        chosen = clip.channels
        if chosen == "auto":
            chosen = channels.get(array.shape[-1])
        if chosen is None:
            bad.add(clip.name, _wrong_width(array, layout, reading))
            continue
        least = reading.least(clip.usual_confidence)
        joints, mask = split_confidence(array, mask, chosen, least)
        if clip.picture and joints.shape[-1] == 2:
            mask = missing_joints(joints) if mask is None else mask
            joints = _from_pixels(joints, *clip.picture)
        found.append((place, joints, mask))
    widest = max(channels.values(), key=len, default="")
    free_axes = axes if any(a.ndim == 4 for _, a in free) else reading.axes
    return found, _resolved(reading, free_axes, widest, where)


def _free_channels(arrays, layout, channels, where):
    """{number of columns: their channels}."""
    ranges: dict[int, ChannelRange] = {}
    for name, array in arrays:
        if _is_of(array, layout):
            ranges.setdefault(array.shape[-1], ChannelRange(name)).include(array)
    found = {
        width: channels_of(width, numbers, channels, where, layout)
        for width, numbers in ranges.items()
    }
    return {width: chosen for width, chosen in found.items() if chosen}


def _is_of(array, layout):
    """Whether an array has the axes and joints of a layout."""
    return (
        array.ndim in (3, 4)
        and array.shape[-2] == layout.num_joints
        and array.dtype.kind in "fiu"
    )


def _from_pixels(joints, height, width):
    middle = np.array([width, height], np.float32) / 2
    with np.errstate(all="ignore"):  # what is not finite is masked
        return (joints.astype(np.float32) - middle) / np.float32(max(height, width) / 2)


def _wrong_width(array, layout, reading):
    if reading.channels in ("xy", "xyz"):
        return (
            f"must have {layout.num_joints} joints ({layout.name}) of "
            f"{len(reading.channels)} coordinates (data.channels={reading.channels}); "
            f"got {array.shape}."
        )
    wanted = f" as data.channels={reading.channels}" * (reading.channels != "auto")
    return f"must have 2 to 4 numbers a joint{wanted}; got {array.shape}."


def _resolved(reading, axes, channels, where):
    found = dataclasses.replace(
        reading, axes=axes, channels=channels or reading.channels
    )
    if found != reading:
        notice(f"{where}: read with {found.flags}.")
    return found
