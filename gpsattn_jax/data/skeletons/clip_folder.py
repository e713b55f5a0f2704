"""A user's own clips: a folder of files and a table of their labels."""

import dataclasses
import os
import pathlib

import numpy as np

from gpsattn_jax.data.files.numpy_files import npz_names
from gpsattn_jax.data.skeletons.bad_clips import BadClips
from gpsattn_jax.data.skeletons.clip_files import (
    LABELS,
    SUFFIXES,
    find_clips,
    is_clip,
    read_raw_clip,
)
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.label_table import read_labels, sorted_classes
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.data.skeletons.raw_clips import join_raw_clips, unlabelled
from gpsattn_jax.data.skeletons.reading import Reading
from gpsattn_jax.data.skeletons.stgcn import read_stgcn_array

_PICKLES = (".pkl", ".pickle")


def read_folder(
    folder: str | os.PathLike,
    layout: Layout,
    labels: str | os.PathLike | None = None,
    *,
    reading: Reading | None = None,
    skip_bad: bool = False,
) -> tuple[Clips, dict[str, np.ndarray]]:
    """The labelled clips of a folder, sorted by name.

    Args:
        folder: searched to the bottom for clips; see `find_clips` and `read_raw_clip`.
            Clips of fewer persons are filled up with absent ones.
        layout: of the joints.
        labels: a CSV file with the columns name, label and, if wanted, split;
            `labels.csv` in the folder by default. A name is the file's path in the
            folder, with or without its suffix; a label is a class's name or number.
        reading: of axes, channels and confidences that the formats leave open.
        skip_bad: leaves out files without a label, labels without a file, and clips
            that cannot be read, and counts them.

    Returns:
        (clips, {split: places}); no splits without that column. The classes are all
        labels, sorted as numbers if all are.

    Raises:
        FileNotFoundError: if there is no such folder or table, or no clips in it.
        ValueError: names what cannot be used: the clip without a label, the label
            without a clip, names that come twice, files that do not fit.
    """
    folder, reading = pathlib.Path(folder), reading or Reading()
    table = folder / LABELS if labels is None else pathlib.Path(labels)
    files = find_clips(folder, [table])
    rows = read_labels(table, SUFFIXES)
    bad = BadClips(str(folder), skip_bad)
    for name, row in rows.items():
        if name not in files:
            reason = f"must name a clip that is there; got {name!r}."
            bad.add(f"{table}: row {row.line}", reason)
    raw, entries = [], []
    for name in sorted(files):
        file = files[name]
        try:
            if name not in rows:
                if is_clip(file):
                    bad.add(f"{file.path}", f"must have a label in {table}; got none.")
                continue
            raw.append(read_raw_clip(file, layout, reading))
            entries.append(rows[name])
        except (ValueError, FileNotFoundError) as error:
            bad.add(f"{file.path}", error)
    classes = sorted_classes({entry.label for entry in rows.values()})
    clips = join_raw_clips(
        raw,
        labels=[classes.index(entry.label) for entry in entries],
        class_names=classes,
        layout=layout,
        reading=reading,
        where=str(folder),
        bad=bad,
        total=len(raw) + len(bad),
    )
    of = {clip.name: entry.split for clip, entry in zip(raw, entries, strict=True)}
    found = np.array([of[name] for name in clips.names], object)
    splits = sorted(set(of.values()) - {""})
    return clips, {split: np.flatnonzero(found == split) for split in splits}


def read_clip(
    path: str | os.PathLike, layout: Layout, reading: Reading | None = None
) -> Clips:
    """One clip whose class is not known, for prediction.

    Args:
        path: a file that `read_raw_clip` reads, or a folder of OpenPose's frames of
            one clip. Without a mask, joints at zero are missing.
        layout: of the joints.
        reading: of axes, channels and confidences that the format leaves open.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it, or that it has several
            clips.
    """
    clips = read_clips(path, layout, reading)
    if len(clips) != 1:
        raise ValueError(f"{path}: must be one clip; got {len(clips)}.")
    return clips


def read_clips(
    path: str | os.PathLike, layout: Layout, reading: Reading | None = None
) -> Clips:
    """All clips of a file or folder, whose classes are not known, for prediction.

    Args:
        path: what `read_clip` takes; a pickle of `read_annotations`, an npz of
            `ntu_npz`, or a `.npy` of five axes, whose clips are named after the file;
            or a folder of any of them.
        layout: of the joints.
        reading: of axes, channels and confidences that the format leaves open.

    Raises:
        FileNotFoundError: if the file is not there, or the folder holds no clip.
        ValueError: names the file and what is wrong with it.
    """
    path, reading = pathlib.Path(path), reading or Reading()
    if path.is_dir():
        files = [file for file in find_clips(path).values() if is_clip(file)]
        raw = [read_raw_clip(file, layout, reading) for file in files]
        if not raw:
            raise FileNotFoundError(f"{path}: no clips in this folder.")
        return unlabelled(raw, layout, reading, str(path))
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        clips, _ = read_annotations(path, layout, reading=reading, labelled=False)
        return _named_after(path, clips)
    if suffix == ".npz" and path.is_file() and "joints" not in npz_names(path):
        clips, _ = ntu_npz(path, layout=layout, reading=reading, labelled=False)
        return _named_after(path, clips)
    clip = read_raw_clip(path, layout, reading)
    if clip.joints.ndim == 5:
        return read_stgcn_array(clip.name, clip.joints, layout, reading)
    return unlabelled([clip], layout, reading, clip.name)


def _named_after(path, clips):
    return dataclasses.replace(clips, names=tuple(f"{path}: {n}" for n in clips.names))
