"""Joints as they come in: a stream of JSON lines, or the frames of a clip."""

import json
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gpsattn_jax.data.skeletons.clip_folder import read_clip
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import missing_joints
from gpsattn_jax.data.skeletons.join import UNKNOWN
from gpsattn_jax.data.skeletons.layout import Layout

Frame = tuple[float, np.ndarray]  # seconds, joints [M, V, C]; NaN where missing


def clip_frames(path: str | os.PathLike, layout: Layout, fps: float) -> Iterator[Frame]:
    """The frames of a clip file, which `read_clip` reads.

    Args:
        path: `.npy`, `.npz` or `.csv`.
        layout: of the joints.
        fps: frames in a second.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it.
    """
    joints, mask = read_clip(path, layout).clip(0)
    for place, (frame, seen) in enumerate(zip(joints, mask, strict=True)):
        yield place / fps, np.where(seen[..., None], frame, np.nan)


def line_frames(
    lines: Iterable[str | bytes],
    layout: Layout,
    dimensions: int,
    fps: float,
    where: str = "standard input",
) -> Iterator[Frame]:
    """Frames from JSON lines, each {"joints": …} and, if wanted, "time": seconds.

    The joints are [[x, y], …] of one person, or a list of such lists; null stands for a
    missing joint, coordinate or person. Other fields and empty lines are left out.

    Args:
        lines: of any number; read as they come.
        layout: of the joints.
        dimensions: coordinates of a joint.
        fps: lines in a second, where no times are told.
        where: what errors call the lines.

    Raises:
        ValueError: names the line, what was expected and got.
    """
    told, last, count = None, -math.inf, 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = f"{where}, line {number}"
        fields = _fields(name, line)
        time = _time(name, fields.get("time"), told, last)
        told = time is not None
        last = count / fps if time is None else time
        count += 1
        yield last, _joints(name, fields["joints"], layout, dimensions)


def window_clip(name: str, frames: list[np.ndarray], layout: Layout) -> Clips | None:
    """Frames [M, V, C], whose persons may vary in number, as one clip of no class.

    Joints at zero are missing, as in files; a root that is at zero whenever somebody
    is seen was made the origin.

    Args:
        name: of the clip.
        frames: one or more; NaN where a joint is missing.
        layout: of the joints.

    Returns:
        The clip; None if it shows nobody.
    """
    persons = max(len(frame) for frame in frames)
    shape = len(frames), persons, *frames[0].shape[1:]
    joints = np.full(shape, np.nan, np.float32)
    for place, frame in enumerate(frames):
        joints[place, : len(frame)] = frame
    mask = missing_joints(joints)
    seen = mask.any(-1)
    if not seen.any():
        return None
    if (joints[:, :, layout.root][seen] == 0).all():
        mask[:, :, layout.root] = seen
    return Clips(
        np.where(mask[..., None], joints, np.float32(0)),
        mask,
        np.array([0, len(frames)]),
        np.zeros(1, np.int32),
        (name,),
        (UNKNOWN,),
        layout,
    )


def _fields(name, line):
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or "joints" not in fields:
        text = line.decode(errors="replace") if isinstance(line, bytes) else line
        raise ValueError(
            f'{name}: must be {{"joints": [[x, y], …]}} as JSON; '
            f"got {_shortened(text.strip())}."
        )
    return fields


def _time(name: str, time: Any, told: bool | None, last: float) -> float | None:
    """Seconds, or None if no line tells them."""
    if told is not None and told != (time is not None):
        raise ValueError(f"{name}: time must be told in all lines or in none.")
    if time is None:
        return None
    number = isinstance(time, int | float) and not isinstance(time, bool)
    if not number or not math.isfinite(time) or time <= last:
        after = "" if last == -math.inf else f" after {last:g}"
        raise ValueError(
            f"{name}: time must be seconds{after}; got {_shortened(time)}."
        )
    return float(time)


def _joints(name: str, joints: Any, layout: Layout, dimensions: int) -> np.ndarray:
    """[M, V, C]; M is 0 where nobody is told."""
    shape = layout.num_joints, dimensions
    if joints is None or joints == []:
        return np.empty((0, *shape))
    if not isinstance(joints, list):
        raise _not_joints(name, layout, dimensions, joints)
    persons = joints if _are_persons(joints, layout.num_joints) else [joints]
    found = np.full((len(persons), *shape), np.nan)
    for person, place in zip(persons, found, strict=True):
        if person is None:
            continue
        if not isinstance(person, list) or len(person) != len(place):
            raise _not_joints(name, layout, dimensions, person)
        for joint, at in zip(person, place, strict=True):
            if joint is not None:
                at[:] = _point(name, layout, dimensions, joint)
    return found


def _are_persons(joints, count):
    """Whether these are lists of joints; a person may be nothing but nulls."""
    within = [one for one in joints if isinstance(one, list)]
    if any(isinstance(value, list) for one in within for value in one):
        return True
    return bool(within) and all(one == [None] * count for one in within)


def _point(name, layout, dimensions, joint):
    if not isinstance(joint, list) or len(joint) != dimensions:
        raise _not_joints(name, layout, dimensions, joint)
    for value in joint:
        if value is not None and type(value) not in (int, float):
            raise _not_joints(name, layout, dimensions, joint)
    try:
        return [math.nan if value is None else float(value) for value in joint]
    except OverflowError:
        return math.nan


def _not_joints(name, layout, dimensions, got):
    count = f"{len(got)} in " if isinstance(got, list) else ""
    return ValueError(
        f"{name}: joints must be a list of {layout.num_joints} (layout {layout.name}), "
        f"each {dimensions} numbers or null, or a list of such lists, one a person; "
        f"got {count}{_shortened(got)}."
    )


def _shortened(value):
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
