"""A user's own clips: a folder of files and a table of their labels."""

import csv
import os
import pathlib

import numpy as np

from gpsattn_jax.data.files.numpy_files import read_npy, read_npz
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.join import UNKNOWN, join_clips
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.mediapipe_csv import read_landmarks

SUFFIXES = (".npy", ".npz", ".csv")
LABELS = "labels.csv"


def read_folder(
    folder: str | os.PathLike, layout: Layout, labels: str | os.PathLike | None = None
) -> tuple[Clips, dict[str, np.ndarray]]:
    """The labelled clips of a folder, sorted by name.

    Args:
        folder: searched to the bottom for `.npy`, `.npz` and `.csv` clips; see
            `read_clip`. Clips of fewer persons are filled up with absent ones.
        layout: of the joints.
        labels: a CSV file with the columns name, label and, if wanted, split;
            `labels.csv` in the folder by default. A name is the file's path in the
            folder, with or without its suffix; a label is a class's name or number.

    Returns:
        (clips, {split: places}); no splits without that column. The classes are all
        labels, sorted as numbers if all are.

    Raises:
        FileNotFoundError: if there is no such folder or table, or no clips in it.
        ValueError: names the clip without a label, the label without a clip, names
            that come twice, or the file that does not fit.
    """
    folder = pathlib.Path(folder)
    table = folder / LABELS if labels is None else pathlib.Path(labels)
    files = _find(folder, table)
    rows = _read_table(table)
    lost = [name for name in rows if name not in files]
    if lost:
        raise ValueError(f"{table}: must name files of {folder}; got {lost[0]!r}.")
    bare = [str(path) for name, path in files.items() if name not in rows]
    if bare:
        raise ValueError(f"{bare[0]}: must have a label in {table}; got none.")
    names = sorted(files)
    read = [_read(files[name], layout) for name in names]
    classes = _sorted_classes({label for label, _ in rows.values()})
    clips = join_clips(
        [joints for joints, _ in read],
        labels=[classes.index(rows[name][0]) for name in names],
        names=[str(files[name]) for name in names],
        class_names=classes,
        layout=layout,
        masks=[mask for _, mask in read]
        if any(m is not None for _, m in read)
        else None,
    )
    splits = sorted({split for _, split in rows.values() if split})
    return clips, {
        split: np.flatnonzero([rows[name][1] == split for name in names])
        for split in splits
    }


def read_clip(path: str | os.PathLike, layout: Layout) -> Clips:
    """One clip whose class is not known, for prediction.

    Args:
        path: `.npy` with [T, V, C] or [T, M, V, C]; `.npz` with such `joints` and, if
            wanted, a `mask` [T, V] or [T, M, V]; or `.csv` of landmarks (see
            `read_landmarks`). Without a mask, joints at zero are missing.
        layout: of the joints.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it.
    """
    path = pathlib.Path(path)
    joints, mask = _read(path, layout)
    return join_clips(
        [joints],
        labels=[0],
        names=[str(path)],
        class_names=[UNKNOWN],
        layout=layout,
        masks=None if mask is None else [mask],
    )


def _find(folder, table):
    """{path in the folder without suffix: file}."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of clips.")
    files: dict[str, pathlib.Path] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() not in SUFFIXES or hidden or not path.is_file():
            continue
        if path.resolve() in (table.resolve(), (folder / LABELS).resolve()):
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ValueError(
                f"{path}: clips must differ in name; got {files[name].name} as well."
            )
        files[name] = path
    if not files:
        raise FileNotFoundError(
            f"{folder}: no clips there; looked for {', '.join(SUFFIXES)}."
        )
    return files


def _read_table(table):
    """{name: (label, split)}."""
    if not table.is_file():
        raise FileNotFoundError(f"{table}: no such table of labels.")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            lines = list(reader)
            header = reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table}: must be a CSV file; got {error}.") from None
    if not {"name", "label"} <= set(header):
        raise ValueError(f"{table}: must have the columns name, label; got {header}.")
    rows: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines, 2):
        name, label = (line["name"] or "").strip(), (line["label"] or "").strip()
        if not name or not label:
            raise ValueError(f"{table}: row {number} must have a name and a label.")
        for suffix in SUFFIXES:
            name = name.removesuffix(suffix)
        if name in rows:
            raise ValueError(
                f"{table}: row {number}: clips must differ in name; got {name!r} twice."
            )
        rows[name] = label, (line.get("split") or "").strip()
    return rows


def _sorted_classes(labels):
    numbers = all(label.isdecimal() for label in labels)
    return sorted(labels, key=int if numbers else None)


def _read(path, layout):
    """(joints, mask or None) of one file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such clip.")
    if path.suffix.lower() == ".csv":
        return read_landmarks(path, layout)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: must be one of {', '.join(SUFFIXES)}.")
    if path.suffix.lower() == ".npy":
        return read_npy(path), None
    arrays = read_npz(path)
    if "joints" not in arrays:
        raise ValueError(f"{path}: must have an array joints.")
    return arrays["joints"], arrays.get("mask")
