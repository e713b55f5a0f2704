"""Users' files by the settings of a run: each kind's clips and its split."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gpsattn_jax.data.skeletons.clip_files import LABELS
from gpsattn_jax.data.skeletons.clip_folder import read_folder
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.label_table import check_splits
from gpsattn_jax.data.skeletons.layouts import Layout, load_layout
from gpsattn_jax.data.skeletons.messages import first_of, notice
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.data.skeletons.sets import Split, validation
from gpsattn_jax.data.skeletons.stgcn import pair_in, read_stgcn


def _ntu(folder, config):
    return ntu_npz(
        folder / config.path,
        layout=load_layout(config.layout) if config.layout else None,
        reading=config.reading,
        skip_bad=config.skip_bad,
    )


def _stgcn(folder, config):
    paths = [folder / path for path in (config.train_path, config.test_path) if path]
    layout = _layout(config.layout, config.name)
    options = {"reading": config.reading, "skip_bad": config.skip_bad}
    train, test = paths or pair_in(folder / config.path)
    return read_stgcn(train, test, layout=layout, **options)


def _folder_of_clips(folder, config):
    where, used = folder / config.path, (config.train_split, config.test_split)
    layout = _layout(config.layout, config.name)
    options = {"reading": config.reading, "skip_bad": config.skip_bad}
    clips, splits = read_folder(where, layout, **options)
    split = _chosen_split(where, splits, *used)
    counts = {name: len(places) for name, places in splits.items()}
    counts[""] = len(clips) - sum(counts.values())
    check_splits(str(where / LABELS), counts, used)
    return clips, [split]


def _pickle(folder, config):
    layout = _layout(config.layout, config.name)
    options = {"reading": config.reading, "skip_bad": config.skip_bad}
    used = config.train_split, config.test_split
    if config.train_path:
        paths = [folder / path for path in (config.train_path, config.test_path)]
        clips, splits = read_annotations(paths, layout, **options)
        # A file may have splits of its own: then those that are asked for are taken.
        pairs = zip(paths, used, strict=True)
        split = tuple(splits.get(name, splits[str(path)]) for path, name in pairs)
        return clips, [split]
    where = folder / config.path
    clips, splits = read_annotations(where, layout, **options)
    if not splits:
        return clips, [_drawn_split(where, clips)]
    train, test = _chosen_split(where, splits, *used)
    doubled = np.intersect1d(train, test)
    if len(doubled):
        notice(
            f"{where}: {len(doubled)} clips are in both {used[0]} and {used[1]}, such "
            f"as {clips.names[doubled[0]]}."
        )
    check_splits(str(where), {"": len(clips) - len(np.union1d(train, test))}, used)
    return clips, [(train, test)]


def _drawn_split(where, clips):
    """A fifth of each class to test on, where a file says nothing."""
    train, test = validation(clips, np.arange(len(clips)), 0)
    notice(
        f"{where}: it has no splits; a fifth of each class is drawn to test on, "
        f"{len(test)} of {len(clips)} clips. The same persons may be in both parts."
    )
    return train, test


def _layout(layout: str, name: str) -> Layout:
    if not layout:
        raise ValueError(
            f"data.layout must name the joints' layout for data.name={name}, or a file "
            "of its edges; got ''."
        )
    return load_layout(layout)


def _chosen_split(path, splits, *wanted):
    for name in wanted:
        if name not in splits:
            raise ValueError(
                f"{path}: data.train_split and data.test_split must be of its splits "
                f"({first_of(list(splits)) or 'it has none'}); got {name!r}."
            )
    return tuple(splits[name] for name in wanted)


# {data.name: what reads it, from the folder of the data and the settings}
READERS: dict[str, Callable[[pathlib.Path, Any], tuple[Clips, list[Split]]]] = {
    "ntu": _ntu, "stgcn": _stgcn, "pickle": _pickle, "folder": _folder_of_clips
}  # fmt: skip
