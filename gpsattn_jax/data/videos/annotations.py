"""People's opinions of videos, as they write them in a spreadsheet or by hand.

A row is a stretch of a video that a user would keep:

    video,user,start,end
    holiday.mp4,anna,0:04,0:12.5
    holiday.mp4,ben,61,70

or, with a fifth column `score`, one that a user finds so important, from 1 (dull) to 5
(must not be missing); what a user says nothing of has 1. Seconds, m:ss and h:mm:ss are
understood. As JSON: {"holiday.mp4": {"anna": [[4, 12.5], [61, 70, 5], …], …}, …}.
Times are those that a player shows: 0:00 is where the file begins.
"""

import csv
import io
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gpsattn_jax.reader_errors import read_text, readable, shorten

COLUMNS = ("video", "user", "start", "end")
MOST_BYTES = 2**26  # of a file
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
    read = {".csv": _csv_rows, ".json": _json_rows}.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path} must end in .csv or .json.")
    text = read_text(path, "annotations", MOST_BYTES)
    found: dict[str, Opinions] = {}
    for where, video, user, cells in read(path, text):
        stretches = found.setdefault(video, {}).setdefault(user, [])
        if cells is not None:
            stretches.append(_stretch(where, cells))
    if not found:
        raise ValueError(f"{path}: there is no annotation in it.")
    for video, users in found.items():
        _check_kind(path, video, users)
    return found


def check_within(where: str, users: Opinions, begin: float, end: float) -> None:
    """Raises ValueError naming a user whose stretch is outside a video's picture.

    Args:
        where: file and video.
        users: of the video.
        begin: seconds at which the picture begins, as a player counts them.
        end: seconds at which it ends.
    """
    span = f"the {end:.1f} s of the video"
    if begin >= 0.1:
        span = f"the video's picture, {begin:.1f} to {end:.1f} s"
    for user, stretches in users.items():
        for first, last, _ in stretches:
            if first >= end or last > end + 1 or last <= begin:
                raise ValueError(
                    f"{where}: {user}: start and end must be within {span}; got "
                    f"{first:g} to {last:g}."
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


def _csv_rows(path, text):
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    with readable(path, "CSV file"):
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        columns = [name.strip().lower() for name in next(lines, [])]
        _check_columns(path, columns, first)
        for cells in lines:
            where = f"{path}: line {lines.line_num}"
            if len(cells) > len(columns):
                raise ValueError(
                    f"{where}: must have {len(columns)} cells, as the first line; got "
                    f"{len(cells)}. A name with {separator!r} in it needs quotes."
                )
            row = dict(zip(columns, map(str.strip, cells), strict=False))
            video, user, start, end = (row.get(name, "") for name in COLUMNS)
            if not any((video, user, start, end)):
                continue
            where = f"{where}: {shorten(video)}: {shorten(user)}"
            if not video or not user:
                raise ValueError(f"{where}: video and user must be named; got nothing.")
            score = row.get("score", "")
            yield where, video, user, [start, end, score] if score else [start, end]


def _check_columns(path, columns, first):
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise ValueError(
            f"{path}: the first line must name the columns {', '.join(COLUMNS)} and, "
            f"perhaps, score; {', '.join(missing)} is missing from "
            f"{shorten(first.strip())!r}."
        )
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: the first line names {shorten(twice)} twice.")


def _json_rows(path, text):
    with readable(path, "JSON file"):
        videos = json.loads(text, object_pairs_hook=_unique)
    form = "{video: {user: [[start, end], …]}}"
    for video, users in _items(videos, f"{path} must be {form}"):
        called = shorten(video)
        for user, stretches in _items(
            users, f"{path}: {called} must be {{user: [[…]]}}"
        ):
            where = f"{path}: {called}: {shorten(user)}"
            if not isinstance(stretches, list):
                raise ValueError(
                    f"{where} must be [[start, end], …]; got {shorten(stretches)}."
                )
            yield where, video, user, None  # one who keeps nothing is a user, too
            for cells in stretches:
                yield where, video, user, cells


def _unique(pairs):
    """A mapping; JSON itself would keep the last of equal names without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shorten(twice)!r} stands twice")
    return found


def _items(value, expected):
    if not isinstance(value, Mapping):
        raise ValueError(f"{expected}; got {shorten(value)}.")
    return value.items()


def _stretch(where: str, cells: Any) -> Stretch:
    if not isinstance(cells, list) or len(cells) not in (2, 3):
        raise ValueError(
            f"{where}: must be [start, end] or [start, end, score]; got "
            f"{shorten(cells)}."
        )
    start, end = (_seconds(where, cell) for cell in cells[:2])
    if not start < end:
        raise ValueError(
            f"{where}: start must be before end; got {shorten(cells[0])} and "
            f"{shorten(cells[1])}."
        )
    if len(cells) == 2 or cells[2] is None:
        return Stretch(start, end)
    score = _number(cells[2])
    if not LEAST <= score <= MOST:
        raise ValueError(f"{where}: score must be in 1..5; got {_quoted(cells[2])}.")
    return Stretch(start, end, score)


def _seconds(where, cell):
    """12.5, "12.5", "1:02.5" or "1:00:02"."""
    parts = str(cell).split(":", 3) if isinstance(cell, str | float | int) else []
    numbers = [_number(part) for part in parts[:3]]
    seconds = sum(part * 60**place for place, part in enumerate(reversed(numbers)))
    fits = 1 <= len(parts) <= 3 and min(numbers) >= 0
    if not fits or not math.isfinite(seconds):
        raise ValueError(
            f"{where}: start and end must be seconds, m:ss or h:mm:ss; got "
            f"{_quoted(cell)}."
        )
    return seconds


def _number(cell):
    """A number, also with a decimal comma; nan if it is none."""
    if isinstance(cell, bool) or not isinstance(cell, str | float | int):
        return math.nan
    try:
        return float(str(cell)[:400].strip().replace(",", "."))
    except (ValueError, OverflowError):
        return math.nan


def _quoted(cell):
    return repr(shorten(cell)) if isinstance(cell, str) else shorten(cell)


def _check_kind(path, video, users):
    parts = [part for stretches in users.values() for part in stretches]
    without = [
        user
        for user, found in users.items()
        if any(part.score is None for part in found)
    ]
    if without and any(part.score is not None for part in parts):
        raise ValueError(
            f"{path}: {shorten(video)}: all stretches of a video must have a score, or "
            f"none; {shorten(without)} gave some without."
        )
