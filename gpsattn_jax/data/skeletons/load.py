"""The clips of a run by its settings: sets by name, users' files; read and parted."""

import dataclasses
import functools
import os
import pathlib

from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.skeletons import sets
from gpsattn_jax.data.skeletons.clip_folder import read_folder
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.data.skeletons.layouts import Layout, load_layout
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.data.skeletons.sets import SETS

FILES = ("ntu", "pickle", "folder")  # kinds of data with a file or folder of their own
MISSING = ("mask", "interpolate")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which clips, and what is done to them before the network sees them.

    Attributes:
        name: nw_ucla, jhmdb14, utkinect, florence3d, msr_action3d; or ntu (an npz of
            x_train, y_train, x_test, y_test), pickle (as pyskl and mmaction2 have it)
            or folder (npy, npz or csv clips and a labels.csv).
        path: of the file or folder, for these three.
        layout: of the joints: a layout's name, a JSON file or a list of edges; the
            set's own if empty.
        split: number of the split.
        train_split: name of the split to train on, for pickle and folder.
        test_split: likewise, to test on.
        validation_fold: part of the training clips that is held out and scored while
            training: a person, or a fifth of each class where persons are not known;
            -1 for none.
        missing: missing joints are hidden (mask) or filled in from the frames around
            them (interpolate).
        num_frames: T, to which each clip is resized.
        unit_size: each clip is divided by the size of its persons.
    """

    name: str = "nw_ucla"
    path: str = ""
    layout: str = ""
    split: int = 0
    train_split: str = "train"
    test_split: str = "test"
    validation_fold: int = -1
    missing: str = "mask"
    num_frames: int = 32
    unit_size: bool = False

    def __post_init__(self) -> None:
        """Rejects unknown choices."""
        for name, choices in (("name", (*SETS, *FILES)), ("missing", MISSING)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"data.{name} must be one of {', '.join(choices)}; "
                    f"got {getattr(self, name)!r}."
                )
        for name, least in (("split", 0), ("validation_fold", -1), ("num_frames", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"data.{name} must be at least {least}; got {getattr(self, name)}."
                )
        if bool(self.path) != (self.name in FILES):
            wanted = "a file or folder" if self.name in FILES else "empty"
            raise ValueError(
                f"data.path must be {wanted} for data.name={self.name}; "
                f"got {self.path!r}."
            )


Parts = dict[str, Clips]


def load_parts(config: DataConfig, data_dir: str | os.PathLike | None = None) -> Parts:
    """The clips of a run: {"train", "test"}, and "validation" if a part is held out.

    Kept for the next call.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: names the file or field that does not fit.
    """
    clips, splits = _load(config, _folder(data_dir))
    if config.split >= len(splits):
        raise ValueError(
            f"data.split must be below {len(splits)} for data.name={config.name}; "
            f"got {config.split}."
        )
    train, test = splits[config.split]
    parts = {"test": clips.select(test)}
    if config.validation_fold >= 0:
        train, held = sets.validation(clips, train, config.validation_fold)
        parts["validation"] = clips.select(held)
    return parts | {"train": clips.select(train)}


def num_splits(config: DataConfig, data_dir: str | os.PathLike | None = None) -> int:
    """How many splits the data have."""
    return len(_load(config, _folder(data_dir))[1])


def _folder(data_dir):
    return os.fspath(data_folder(data_dir) or "")


def _load(config, folder):
    source = {"name", "path", "layout", "train_split", "test_split", "missing"}
    return _read(folder, **{name: getattr(config, name) for name in source})


@functools.lru_cache(maxsize=2)
def _read(folder, name, path, layout, train_split, test_split, missing):
    """(clips, [(places to train on, places to test on)])."""
    where = pathlib.Path(folder) / path
    if name in sets.SETS:
        clips, splits = sets.load(name, folder)
    elif name == "ntu":
        clips, splits = ntu_npz(where)
    else:
        found = _layout(layout, name)
        if name == "pickle":
            clips, named = read_annotations(where, found)
        else:
            clips, named = read_folder(where, found)
        splits = [_named_split(where, named, train_split, test_split)]
    if layout and name not in ("pickle", "folder"):
        try:
            clips = dataclasses.replace(clips, layout=load_layout(layout))
        except ValueError as error:
            raise ValueError(
                f"data.layout must fit data.name={name}, whose joints are those of "
                f"{clips.layout.name}: {error}"
            ) from None
    return (interpolated(clips) if missing == "interpolate" else clips), splits


def _layout(layout: str, name: str) -> Layout:
    if not layout:
        raise ValueError(
            f"data.layout must name the joints' layout for data.name={name}, or a file "
            "of its edges; got ''."
        )
    return load_layout(layout)


def _named_split(path, named, *wanted):
    for name in wanted:
        if name not in named:
            raise ValueError(
                f"{path}: data.train_split and data.test_split must be of its splits "
                f"({', '.join(named) or 'it has none'}); got {name!r}."
            )
    return tuple(named[name] for name in wanted)
