"""People's opinions of videos, as they write them in a spreadsheet or by hand.

A row is a stretch of a video that a user would keep:

    video,user,start,end
    holiday.mp4,anna,0:04,0:12.5
    holiday.mp4,ben,61,70

or, with a fifth column `score`, one that a user finds so important, from 1 (dull) to 5
(must not be missing); what a user says nothing of has 1. Seconds, m:ss and h:mm:ss are
understood. As JSON: {"holiday.mp4": {"anna": [[4, 12.5], [61, 70, 5], …], …}, …}.
"""

import csv
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

COLUMNS = ("video", "user", "start", "end")
LEAST, MOST = 1.0, 5.0  # scores, as TVSum's


class Stretch(NamedTuple):
    """A part of a video in a user's opinion: seconds, and a score or None: to keep."""

    start: float
    end: float
    score: float | None = None


Opinions = dict[str, list[Stretch]]  # of one video, by user


def read_annotations(path: str | os.PathLike) -> dict[str, Opinions]:
    """{video: {user: stretches}} of a .csv or .json file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: names file, line or video and user, what is expected and what was
            got.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of annotations.")
    read = {".csv": _csv_rows, ".json": _json_rows}.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path} must end in .csv or .json.")
    found: dict[str, Opinions] = {}
    for where, video, user, cells in read(path):
        stretches = found.setdefault(video, {}).setdefault(user, [])
        if cells is not None:
            stretches.append(_stretch(where, cells))
    if not found:
        raise ValueError(f"{path}: there is no annotation in it.")
    for video, users in found.items():
        _check_kind(path, video, users)
    return found


def check_within(where: str, users: Opinions, duration: float) -> None:
    """Raises ValueError naming a user whose stretch is beyond a video's end."""
    for user, stretches in users.items():
        for start, end, _ in stretches:
            if start >= duration or end > duration + 1:
                raise ValueError(
                    f"{where}: {user}: start and end must be within the "
                    f"{duration:.1f} s of the video; got {start:g} to {end:g}."
                )


def user_rows(
    users: Opinions, frame_at: Callable[[float], int], num_frames: int
) -> np.ndarray:
    """A row for each user: [U, num_frames].

    Args:
        users: of one video.
        frame_at: seconds -> the frame that begins there.
        num_frames: of the video.

    Returns:
        uint8, 1 where a frame is kept; or float32 scores of 1 to 5, if there are any.
    """
    scored = is_scored(users)
    rows = np.full(
        (len(users), num_frames), LEAST if scored else 0, np.float32 if scored else "u1"
    )
    for row, stretches in zip(rows, users.values(), strict=True):
        for start, end, score in stretches:
            row[frame_at(start) : frame_at(end)] = 1 if score is None else score
    return rows


def is_scored(users: Opinions) -> bool:
    """Whether users gave scores, instead of naming what to keep."""
    return any(part.score is not None for parts in users.values() for part in parts)


def _csv_rows(path):
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text: {error}.") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=separator, restval="")
    reader.fieldnames = [
        (name or "").strip().lower() for name in reader.fieldnames or ()
    ]
    missing = [name for name in COLUMNS if name not in reader.fieldnames]
    if missing:
        raise ValueError(
            f"{path}: the first line must name the columns {', '.join(COLUMNS)} and, "
            f"perhaps, score; {', '.join(missing)} is missing from {first.strip()!r}."
        )
    for row in reader:
        video, user, start, end = (row[name].strip() for name in COLUMNS)
        if not any((video, user, start, end)):
            continue
        where = f"{path}: line {reader.line_num}: {video}: {user}"
        if not video or not user:
            raise ValueError(f"{where}: video and user must be named; got nothing.")
        score = (row.get("score") or "").strip()
        yield where, video, user, [start, end, score] if score else [start, end]


def _json_rows(path):
    try:
        videos = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    form = "{video: {user: [[start, end], …]}}"
    for video, users in _items(videos, f"{path} must be {form}"):
        for user, stretches in _items(
            users, f"{path}: {video} must be {{user: [[…]]}}"
        ):
            where = f"{path}: {video}: {user}"
            if not isinstance(stretches, list):
                raise ValueError(
                    f"{where} must be [[start, end], …]; got {stretches!r}."
                )
            yield where, video, user, None  # one who keeps nothing is a user, too
            for cells in stretches:
                yield where, video, user, cells


def _items(value, expected):
    if not isinstance(value, Mapping):
        raise ValueError(f"{expected}; got {value!r}.")
    return value.items()


def _stretch(where: str, cells: Any) -> Stretch:
    if not isinstance(cells, Sequence) or len(cells) not in (2, 3):
        raise ValueError(
            f"{where}: must be [start, end] or [start, end, score]; got {cells!r}."
        )
    start, end = (_seconds(where, cell) for cell in cells[:2])
    if not start < end:
        raise ValueError(
            f"{where}: start must be before end; got {cells[0]} and {cells[1]}."
        )
    if len(cells) == 2 or cells[2] is None:
        return Stretch(start, end)
    score = _number(cells[2])
    if not LEAST <= score <= MOST:
        raise ValueError(f"{where}: score must be in 1..5; got {cells[2]!r}.")
    return Stretch(start, end, score)


def _seconds(where, cell):
    """12.5, "12.5", "1:02.5" or "1:00:02"."""
    parts = [_number(part) for part in str(cell).split(":")]
    seconds = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    if len(parts) > 3 or min(parts) < 0 or not math.isfinite(seconds):
        raise ValueError(
            f"{where}: start and end must be seconds, m:ss or h:mm:ss; got {cell!r}."
        )
    return seconds


def _number(cell):
    """A number, also with a decimal comma; nan if it is none."""
    try:
        return float(str(cell).strip().replace(",", "."))
    except ValueError:
        return math.nan


def _check_kind(path, video, users):
    parts = [part for stretches in users.values() for part in stretches]
    without = [
        user
        for user, found in users.items()
        if any(part.score is None for part in found)
    ]
    if without and any(part.score is not None for part in parts):
        raise ValueError(
            f"{path}: {video}: all stretches of a video must have a score, or none; "
            f"{', '.join(without)} gave some without."
        )
