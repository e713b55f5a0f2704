"""Landmarks of MediaPipe in CSV files: one landmark a row, or one frame a row."""

import os
import pathlib

import numpy as np

from gpsattn_jax.data.skeletons.csv_tables import Table, read_table
from gpsattn_jax.data.skeletons.landmark_names import (
    FRAMES,
    LANDMARKS,
    TIMES,
    VISIBILITIES,
    column_parts,
    joint_numbers,
    plain_name,
)
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import first_of, shortened

VISIBLE = 0.5  # MediaPipe's visibility is the probability of being visible
# A frame number may be left out where nobody was found, but not nearly all.
_MOST_GAPS = 100


def read_landmarks(
    path: str | os.PathLike, layout: Layout, visible: float = VISIBLE
) -> tuple[np.ndarray, np.ndarray]:
    """One person's clip from a CSV file with a header.

    Args:
        path: cells divided by commas, semicolons or tabs. Either long, with the columns
            frame (or a time, such as timestamp_ms), landmark (a number, the layout's
            name of a joint, or MediaPipe's), x, y, z and, if wanted, visibility; or
            wide, with one row for each frame: x0, y0, z0, v0, x1, …, counted from 0 or
            from 1, or NOSE_x, NOSE_y, …. Without z joints are flat. Columns of other
            names are left out; an empty cell is a missing joint.
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
    table = read_table(path)
    if not table.rows:
        raise ValueError(
            f"{path}: must have a header and frames; got "
            f"{bool(table.header):d} rows in all."
        )
    for line, row in table.rows:
        if len(row) != len(table.header):
            raise ValueError(
                f"{path}: row {line} must have {len(table.header)} cells; "
                f"got {len(row)}."
            )
    long = any(name in table.header for name in LANDMARKS)
    values = (_long if long else _wide)(table, layout)  # [T, V, x y (z) visibility]
    joints, visibility = values[..., :-1], values[..., -1]
    mask = np.isfinite(joints).all(-1) & (visibility >= visible)
    with np.errstate(over="ignore"):  # what is not finite is masked
        joints = np.where(mask[..., None], joints, 0).astype(np.float32)
    mask &= np.isfinite(joints).all(-1)
    return np.where(mask[..., None], joints, 0), mask


def _long(table, layout):
    header = table.header
    fields = ["x", "y"] + ["z"] * ("z" in header)
    for field in fields:
        if field not in header:
            raise ValueError(
                f"{table.path}: must have the column {field}; got {first_of(header)}."
            )
    frames = _frames(table)
    numbers, place = joint_numbers(layout), header.index(_first(header, LANDMARKS))
    columns = [_column(table, field) for field in fields]
    visibility = _first(header, VISIBILITIES)
    columns.append(
        _column(table, visibility) if visibility else np.ones(len(table.rows))
    )
    shape = int(frames.max()) + 1, layout.num_joints, len(columns)
    clip = np.full(shape, np.nan)
    for index, (line, row) in enumerate(table.rows):
        joint = numbers.get(plain_name(row[place]))
        if joint is None:
            raise ValueError(
                f"{table.path}: row {line}: landmark must be "
                f"0..{layout.num_joints - 1} or a joint of layout {layout.name}; "
                f"got {shortened(row[place])}."
            )
        clip[frames[index], joint] = [column[index] for column in columns]
    return clip


def _frames(table):
    """The place of each row's frame, from 0."""
    number, time = _first(table.header, FRAMES), _first(table.header, TIMES)
    if number is None and time is None:
        raise ValueError(
            f"{table.path}: must have the column frame, or a time such as "
            f"timestamp_ms; got {first_of(table.header)}."
        )
    field = number or time
    values = _column(table, field)
    whole = np.isfinite(values)
    if number:
        whole &= values == np.round(values)
    for i in np.flatnonzero(~whole)[:1]:
        raise ValueError(
            f"{table.path}: row {table.rows[i][0]}: {field} must be a number; "
            f"got {values[i]}."
        )
    known, inverse = np.unique(values, return_inverse=True)
    steps = np.diff(known)
    usual = 1.0 if number or not len(steps) else float(np.median(steps))
    # Cameras do not keep time: each step is so many frames, not each time.
    with np.errstate(all="ignore"):
        places = np.concatenate(
            [[0.0], np.cumsum(np.maximum(np.round(steps / usual), 1))]
        )
    if not places[-1] + 1 <= _MOST_GAPS * len(known):
        raise ValueError(
            f"{table.path}: {field} must count frames; got a range of "
            f"{known[-1] - known[0] + 1:.0f}."
        )
    return places.astype(np.int64)[inverse.reshape(-1)]


def _wide(table, layout):
    count = layout.num_joints
    numbers = joint_numbers(layout) | {str(count): count}  # some count from 1
    found: dict[tuple[str, int], str] = {}
    for name in table.header:
        joint, field = column_parts(name) or ("", "")
        if joint in numbers:
            found[field, numbers[joint]] = name
    present = sorted({number for _, number in found})
    first = present[0] if present else 0
    if first not in (0, 1) or present != list(range(first, first + count)):
        raise ValueError(
            f"{table.path}: must have the columns x0, y0, … of the {count} joints of "
            f"layout {layout.name}, or frame and landmark; got {len(present)} joints "
            f"in {first_of(table.header)}."
        )
    fields = ["x", "y"] + ["z"] * (("z", first) in found)
    clip = np.ones((len(table.rows), count, len(fields) + 1))
    for place, number in enumerate(present):
        for axis, field in enumerate(fields + ["v"] * (("v", first) in found)):
            if (field, number) not in found:
                raise ValueError(
                    f"{table.path}: must have the column {field}{number}; "
                    f"got {first_of(table.header)}."
                )
            clip[:, place, axis] = _column(table, found[field, number])
    return clip


def _column(table: Table, name: str) -> np.ndarray:
    """A column's numbers; an empty cell is NaN."""
    place = table.header.index(name)
    values = np.full(len(table.rows), np.nan)
    for index, (line, row) in enumerate(table.rows):
        cell = row[place].strip()
        try:
            values[index] = table.number(cell) if cell else np.nan
        except ValueError:
            raise ValueError(
                f"{table.path}: row {line}: {name} must be a number; "
                f"got {shortened(cell)}."
            ) from None
    return values


def _first(header, names):
    return next((name for name in names if name in header), None)
