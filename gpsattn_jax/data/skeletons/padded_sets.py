"""Sets of clips in one array, filled up with zeros to one length."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.skeletons.bad_clips import BadClips
from gpsattn_jax.data.skeletons.channels import (
    ChannelRange,
    channels_of,
    split_confidence,
)
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import notice
from gpsattn_jax.data.skeletons.orders import TURNS, common_order
from gpsattn_jax.data.skeletons.reading import SURE, Reading

_BLOCK = 512  # clips looked at together: the sets have gigabytes
_SAMPLE = 64  # clips of a part whose shapes and numbers decide the order of axes


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """One array of clips.

    Attributes:
        name: of the array; messages begin with it.
        joints: [N, …] with the four axes of a clip.
        labels: [N].
        names: of the clips.
    """

    name: str
    joints: np.ndarray
    labels: np.ndarray
    names: Sequence[str]


def join_parts(
    parts: Sequence[Part],
    *,
    class_names: Sequence[str],
    layout: Layout,
    reading: Reading,
    usual_axes: str = "auto",
    where: str,
    skip_bad: bool = False,
) -> tuple[Clips, list[np.ndarray]]:
    """Clips without their padding, and the places of each part.

    Frames of zeros at the end are padding; a person of zeros is absent. A joint at zero
    is no missing one: clips are centred on a joint.

    Args:
        parts: of the set.
        class_names: of the labels.
        layout: of the joints.
        reading: of axes, channels and confidence.
        usual_axes: the order that the format prescribes, if no flag says otherwise.
        where: the file; begins messages on the whole set.
        skip_bad: leaves out clips without joints, and counts them.

    Raises:
        ValueError: names the clips without joints, the array that does not fit the
            layout, or the flag that an ambiguous one needs.
    """
    axes = usual_axes if reading.axes == "auto" else reading.axes
    samples = [
        (f"{part.name} {place}", joints)
        for part in parts
        for place, joints in enumerate(part.joints[:_SAMPLE])
    ]
    axes = common_order(samples, layout, axes, where)
    arrays = [_ordered(part, axes, layout) for part in parts]
    channels = _channels(parts, arrays, layout, reading, where)
    bad, trimmed, kept = BadClips(where, skip_bad), [], []
    least = reading.least(SURE)
    for part, joints in zip(parts, arrays, strict=True):
        *clips, good = _trim(joints, channels, least)
        for place in np.flatnonzero(~good).tolist():
            bad.add(part.names[place], "must have joints; got none.")
        trimmed.append(clips)
        kept.append(np.flatnonzero(good).tolist())
    bad.settle(sum(len(part.joints) for part in parts))
    joints, mask, lengths = (np.concatenate(of) for of in zip(*trimmed, strict=True))
    labels = [part.labels[good] for part, good in zip(parts, kept, strict=True)]
    names = [p.names[place] for p, good in zip(parts, kept, strict=True)
             for place in good]  # fmt: skip
    ends = np.cumsum([0, *map(len, kept)])
    found = dataclasses.replace(reading, axes=axes, channels=channels)
    if found != reading:
        notice(f"{where}: read with {found.flags}.")
    clips = Clips(
        joints,
        mask,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate(labels).astype(np.int32),
        tuple(names),
        tuple(class_names),
        layout,
        reading=found,
    )
    return clips, [np.arange(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _ordered(part, axes, layout):
    """[N, T, M, V, C]; a view."""
    joints = part.joints
    if joints.ndim == 5:
        joints = joints.transpose(0, *(1 + place for place in TURNS[axes]))
    if joints.ndim != 5 or joints.shape[3] != layout.num_joints:
        raise ValueError(
            f"{part.name}: must have the {layout.num_joints} joints of layout "
            f"{layout.name}; got {part.joints.shape}."
        )
    return joints


def _channels(parts, arrays, layout, reading, where):
    numbers, widths = ChannelRange(parts[0].name), {a.shape[-1] for a in arrays}
    if len(widths) > 1:
        raise ValueError(
            f"{where}: its arrays must have as many channels; got {widths}."
        )
    for joints in arrays:
        for start in range(0, len(joints), _BLOCK):
            numbers.include(joints[start : start + _BLOCK])
    width = widths.pop()
    found = channels_of(width, numbers, reading.channels, where, layout)
    if found is None:
        wanted = "2 to 4 channels" if reading.channels == "auto" else reading.channels
        raise ValueError(f"{where}: must have {wanted} (data.channels); got {width}.")
    return found


def _trim(joints, channels, least):
    """Frames without padding [sum T, M, V, C], their mask, lengths; which are good."""
    kept_joints, masks, lengths, good = [], [], [], []
    for start in range(0, len(joints), _BLOCK):
        block = joints[start : start + _BLOCK]
        block, sure = split_confidence(block, None, channels, least)
        mask = np.isfinite(block).all(-1)
        mask = mask if sure is None else mask & sure
        present = (mask & (block != 0).any(-1)).any(-1)
        count = block.shape[1] - np.argmax(present.any(-1)[:, ::-1], axis=1)
        some = present.any((1, 2))
        block, mask, present = block[some], mask[some], present[some]
        kept = np.arange(block.shape[1]) < count[some][:, None]
        mask = mask[kept] & present[kept][..., None]
        whole = np.where(mask[..., None], block[kept], 0)
        kept_joints.append(whole.astype(np.float32))
        masks.append(mask)
        lengths.append(count[some])
        good.append(some)
    return tuple(map(np.concatenate, (kept_joints, masks, lengths, good)))
