"""Landmarks of MediaPipe in CSV files: one landmark a row, or one frame a row."""

import csv
import os
import pathlib
import re

import numpy as np

from gpsattn_jax.data.skeletons.layout import Layout

VISIBLE = 0.5  # MediaPipe's visibility is the probability of being seen
_WIDE = re.compile(r"([xyzv])_?(\d{1,4})")
# A frame number may be left out where nobody was found, but not nearly all.
_MOST_GAPS = 100


def read_landmarks(
    path: str | os.PathLike, layout: Layout, visible: float = VISIBLE
) -> tuple[np.ndarray, np.ndarray]:
    """One person's clip from a CSV file with a header.

    Args:
        path: either long, with the columns frame, landmark (number or the layout's
            joint name), x, y, z and, if wanted, visibility; or wide, with x0, y0, z0,
            v0, x1, … in one row for each frame, counted from 0 or from 1. Without z
            joints are flat. Columns of other names are left out; an empty cell is a
            missing joint.
        layout: of the landmarks.
        visible: a joint of less visibility is masked.

    Returns:
        (joints [T, V, C] float32, mask [T, V]); masked joints are 0.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file, the line or column, what was expected and got.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of landmarks.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: must be a CSV file; got {error}.") from None
    if len(rows) < 2:
        raise ValueError(
            f"{path}: must have a header and frames; got {len(rows)} rows in all."
        )
    header = [name.strip().lower() for name in rows[0]]
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {line} must have {len(header)} cells; got {len(row)}."
            )
    read = _long if {"frame", "landmark"} <= set(header) else _wide
    values = read(path, header, rows[1:], layout)  # [T, V, x y (z) visibility]
    joints, visibility = values[..., :-1], values[..., -1]
    mask = np.isfinite(joints).all(-1) & (visibility >= visible)
    return np.where(mask[..., None], joints, 0).astype(np.float32), mask


def _long(path, header, rows, layout):
    fields = ["x", "y"] + ["z"] * ("z" in header)
    for field in fields:
        if field not in header:
            raise ValueError(f"{path}: must have the column {field}; got {header}.")
    numbers = {name: place for place, name in enumerate(layout.joints)}
    numbers |= {str(place): place for place in range(layout.num_joints)}
    columns = [_column(path, header, rows, field) for field in fields]
    seen = np.ones(len(rows))
    if "visibility" in header:
        seen = _column(path, header, rows, "visibility")
    frames = _column(path, header, rows, "frame")
    whole = np.isfinite(frames) & (frames == np.round(frames))
    for i in np.flatnonzero(~whole)[:1]:
        raise ValueError(
            f"{path}: row {i + 2}: frame must be a number; got {frames[i]}."
        )
    span = float(frames.max() - frames.min()) + 1
    if span > _MOST_GAPS * len(np.unique(frames)):
        raise ValueError(f"{path}: frame must count frames; got a range of {span:.0f}.")
    clip = np.full((int(span), layout.num_joints, len(fields) + 1), np.nan)
    place = header.index("landmark")
    for line, (row, frame) in enumerate(zip(rows, frames - frames.min(), strict=True)):
        joint = numbers.get(row[place].strip().lower())
        if joint is None:
            raise ValueError(
                f"{path}: row {line + 2}: landmark must be 0..{layout.num_joints - 1} "
                f"or a joint of layout {layout.name}; got {row[place]!r}."
            )
        clip[int(frame), joint] = [*(column[line] for column in columns), seen[line]]
    return clip


def _wide(path, header, rows, layout):
    found = {}
    for name in header:
        match = _WIDE.fullmatch(name)
        if match:
            found[match[1], int(match[2])] = name
    numbers = sorted({number for _, number in found})
    first, count = (numbers[0] if numbers else 0), layout.num_joints
    if first not in (0, 1) or numbers != list(range(first, first + count)):
        raise ValueError(
            f"{path}: must have the columns x0, y0, … of the {count} joints of layout "
            f"{layout.name}, or frame and landmark; got {len(numbers)} joints."
        )
    fields = ["x", "y"] + ["z"] * (("z", first) in found)
    clip = np.ones((len(rows), count, len(fields) + 1))
    seen = ["v"] if ("v", first) in found else []
    for place, number in enumerate(numbers):
        for axis, field in enumerate(fields + seen):
            if (field, number) not in found:
                raise ValueError(f"{path}: must have the column {field}{number}.")
            name = found[field, number]
            clip[:, place, axis] = _column(path, header, rows, name)
    return clip


def _column(path, header, rows, name):
    """A column's numbers; an empty cell is NaN."""
    place = header.index(name)
    values = np.full(len(rows), np.nan)
    for line, row in enumerate(rows):
        cell = row[place].strip()
        try:
            values[line] = float(cell) if cell else np.nan
        except ValueError:
            raise ValueError(
                f"{path}: row {line + 2}: {name} must be a number; got {cell!r}."
            ) from None
    return values
