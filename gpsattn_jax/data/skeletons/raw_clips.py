"""Clips as their files have them -> `Clips`; those that do not fit are left out."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.skeletons.arrange import arrange
from gpsattn_jax.data.skeletons.bad_clips import BadClips
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.join import UNKNOWN, check_clip, join_clips
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.reading import RawClip, Reading


def join_raw_clips(
    clips: Sequence[RawClip],
    *,
    labels: Sequence[int],
    class_names: Sequence[str],
    layout: Layout,
    reading: Reading,
    where: str,
    bad: BadClips,
    total: int | None = None,
    short_names: Sequence[str] | None = None,
) -> Clips:
    """Reads axes, channels and masks of clips and puts them together.

    Args:
        clips: as their files have them.
        labels: of each clip, a place in `class_names`.
        class_names: of the labels.
        layout: of the joints.
        reading: what the flags say of axes, channels and confidence.
        where: what the clips are of; begins messages on all of them.
        bad: what is wrong with clips so far.
        total: how many clips there are with those that are bad already; else these.
        short_names: of the clips, if they are not to have those that messages use.

    Returns:
        The clips that fit, with the reading that their arrays showed.

    Raises:
        ValueError: names the clips that do not fit, unless `bad` skips them.
    """
    arranged, found = arrange(clips, layout, reading, where, bad)
    good = []
    for place, joints, mask in arranged:
        try:
            check_clip(clips[place].name, joints, mask, layout)
            good.append((place, joints, mask))
        except ValueError as error:
            bad.add(clips[place].name, error)
    good = _of_one_width(clips, good, bad)
    bad.settle(len(clips) if total is None else total)
    places = [place for place, _, _ in good]
    masks = [mask for _, _, mask in good]
    names = short_names or [clip.name for clip in clips]
    try:
        joined = join_clips(
            [joints for _, joints, _ in good],
            labels=[labels[place] for place in places],
            names=[names[place] for place in places],
            class_names=class_names,
            layout=layout,
            masks=masks if any(mask is not None for mask in masks) else None,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return dataclasses.replace(joined, reading=found)


def unlabelled(
    clips: Sequence[RawClip], layout: Layout, reading: Reading, where: str
) -> Clips:
    """Clips whose classes are not known, for prediction.

    Args:
        clips: as their files have them.
        layout: of the joints.
        reading: of their axes and channels.
        where: the file; begins messages on all of them.
    """
    return join_raw_clips(
        clips,
        labels=[0] * len(clips),
        class_names=[UNKNOWN],
        layout=layout,
        reading=reading,
        where=where,
        bad=BadClips(where),
    )


def _of_one_width(clips, good, bad):
    """The clips that have as many coordinates as most; the rest is bad."""
    widths = [np.shape(joints)[-1] for _, joints, _ in good]
    if len(set(widths)) < 2:
        return good
    ((most, _),) = collections.Counter(widths).most_common(1)
    model = clips[good[widths.index(most)][0]].name
    kept = []
    for width, clip in zip(widths, good, strict=True):
        if width == most:
            kept.append(clip)
            continue
        bad.add(
            clips[clip[0]].name,
            f"must have {most} coordinates a joint, as {model}; got {width}.",
        )
    return kept
