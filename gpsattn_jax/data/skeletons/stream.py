"""Joints as they come in: a stream of JSON lines, or the frames of a clip."""

import json
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gpsattn_jax.data.skeletons.channels import split_confidence
from gpsattn_jax.data.skeletons.clip_folder import read_clip
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import missing_joints
from gpsattn_jax.data.skeletons.join import UNKNOWN
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import shortened
from gpsattn_jax.data.skeletons.reading import SURE, Reading

Frame = tuple[float, np.ndarray]  # seconds, joints [M, V, C]; NaN where missing
_LATEST = 1e10  # seconds: in the year 2286, counted from 1970
_PACE = 10  # steps from frame to frame that show how fast frames come


def clip_frames(
    path: str | os.PathLike, layout: Layout, fps: float, reading: Reading | None = None
) -> Iterator[Frame]:
    """The frames of a clip file, which `read_clip` reads at once.

    Args:
        path: of any format that it knows.
        layout: of the joints.
        fps: frames in a second.
        reading: of axes, channels and confidences that the format leaves open.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it.
    """
    joints, mask = read_clip(path, layout, reading).clip(0)
    frames = np.where(mask[..., None], joints, np.nan)
    return ((place / fps, frame) for place, frame in enumerate(frames))


def line_frames(
    lines: Iterable[str | bytes],
    layout: Layout,
    dimensions: int,
    fps: float,
    where: str = "standard input",
    reading: Reading | None = None,
) -> Iterator[Frame]:
    """Frames from JSON lines, each {"joints": …} and, if wanted, "time": seconds.

    The joints are [[x, y], …] of one person, or a list of such lists; null stands for a
    missing joint, coordinate or person. Other fields and empty lines are left out.

    Args:
        lines: of any number; read as they come.
        layout: of the joints.
        dimensions: coordinates of a joint.
        fps: lines in a second, where no times are given.
        where: what errors call the lines.
        reading: where its channels end in c, a joint may have a confidence after its
            coordinates.

    Raises:
        ValueError: names the line, what was expected and got.
    """
    timed, last, count = None, -math.inf, 0
    widths = {dimensions}
    if reading is not None and reading.channels.endswith("c"):
        widths.add(dimensions + 1)
    least = (reading or Reading()).least(SURE)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = f"{where}, line {number}"
        fields = _fields(name, line)
        time = _time(name, fields.get("time"), timed, last)
        timed = time is not None
        last = count / fps if time is None else time
        count += 1
        joints = _joints(name, fields["joints"], layout, dimensions, widths)
        yield last, _without_confidence(joints, dimensions, least)


def check_pace(frames: Iterable[Frame], window: float, where: str) -> Iterator[Frame]:
    """Passes frames on; refuses those that come too seldom for a window to show any.

    Args:
        frames: in order of time.
        window: seconds that are recognised at once.
        where: what errors call the frames.

    Raises:
        ValueError: if each of the first steps in time is longer than the window, as it
            is where milliseconds are taken for seconds.
    """
    last: float | None = None
    steps: list[float] = []
    for now, joints in frames:
        if last is not None and len(steps) < _PACE:
            steps.append(now - last)
            if len(steps) == _PACE:
                _check_steps(steps, window, where)
        last = now
        yield now, joints
    if 1 < len(steps) < _PACE:
        _check_steps(steps, window, where)


def _check_steps(steps, window, where):
    if min(steps) > window:
        middle = sorted(steps)[len(steps) // 2]
        raise ValueError(
            f"{where}: time must be seconds; frames come {middle:g} s apart, and a "
            f"window lasts {window:g} s. Are they milliseconds?"
        )


def _without_confidence(joints, dimensions, least):
    """[M, V, C] with NaN where a confidence is too low."""
    if joints.shape[-1] == dimensions:
        return joints
    plain = np.isnan(joints[..., -1])  # a joint that was given without one
    joints, sure = split_confidence(joints, None, "c", least)
    return np.where((sure | plain)[..., None], joints, np.nan)


def window_clip(name: str, frames: list[np.ndarray], layout: Layout) -> Clips | None:
    """Frames [M, V, C], whose persons may vary in number, as one clip of no class.

    Joints at zero are missing, as in files; a root that is at zero whenever somebody
    is there was made the origin.

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
    present = mask.any(-1)
    if not present.any():
        return None
    if (joints[:, :, layout.root][present] == 0).all():
        mask[:, :, layout.root] = present
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
            f"got {shortened(text.strip())}."
        )
    return fields


def _time(name: str, time: Any, timed: bool | None, last: float) -> float | None:
    """Seconds, or None if no line has them."""
    if timed is not None and timed != (time is not None):
        raise ValueError(f"{name}: time must be in all lines or in none.")
    if time is None:
        return None
    number = isinstance(time, int | float) and not isinstance(time, bool)
    if number and abs(time) > _LATEST:  # not for NaN
        raise ValueError(
            f"{name}: time must be seconds within {_LATEST:g}; got {shortened(time)}."
        )
    if not number or math.isnan(time) or time <= last:
        after = "" if last == -math.inf else f" after {last:g}"
        raise ValueError(f"{name}: time must be seconds{after}; got {shortened(time)}.")
    return float(time)


def _joints(
    name: str, joints: Any, layout: Layout, dimensions: int, widths: set[int]
) -> np.ndarray:
    """[M, V, C], C the greatest of the widths; M is 0 where nobody is."""
    shape = layout.num_joints, max(widths)
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
                point = _point(name, layout, dimensions, widths, joint)
                at[: len(point)] = point
    return found


def _are_persons(joints, count):
    """Whether these are lists of joints; a person may be nothing but nulls."""
    within = [one for one in joints if isinstance(one, list)]
    if any(isinstance(value, list) for one in within for value in one):
        return True
    return bool(within) and all(one == [None] * count for one in within)


def _point(name, layout, dimensions, widths, joint):
    if not isinstance(joint, list) or len(joint) not in widths:
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
        f"got {count}{shortened(got)}."
    )
