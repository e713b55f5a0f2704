"""The clips of a run by its settings: sets by name, users' files; read and split."""

import dataclasses
import functools
import os
import pathlib
from typing import Annotated

import numpy as np

from gpsattn_jax.configs import Checked, Count, Rule, at_least, one_of
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.skeletons import sets
from gpsattn_jax.data.skeletons.channels import CHANNELS
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.data.skeletons.layouts import load_layout
from gpsattn_jax.data.skeletons.messages import first_of, notice
from gpsattn_jax.data.skeletons.orders import AXES
from gpsattn_jax.data.skeletons.protocols import check_protocol
from gpsattn_jax.data.skeletons.reading import Reading
from gpsattn_jax.data.skeletons.sampling import FRAMES
from gpsattn_jax.data.skeletons.sets import SETS
from gpsattn_jax.data.skeletons.sources import READERS

PAIRS = ("pickle", "stgcn")  # kinds of data that may be in two files
MISSING = ("mask", "interpolate")
CONFIDENCE = Rule(lambda least: least == -1 or 0 <= least <= 1, "be within 0..1, or -1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Checked, prefix="data."):
    """Which clips, and what is done to them before the network sees them.

    Attributes:
        name: nw_ucla, jhmdb14, utkinect, florence3d, msr_action3d; or ntu (an npz of
            x_train, y_train, x_test, y_test), pickle (as pyskl and mmaction2 have it),
            stgcn (npy of joints, pkl of labels) or folder (clips and a labels.csv).
        path: of the file or folder, for these four.
        train_path: for pickle and stgcn, of the file to train on, instead of path.
        test_path: likewise, to test on.
        layout: of the joints: a layout's name, a JSON file or a list of edges; the
            set's own if empty.
        protocol: of a set, if not its usual one: view1_to_view2 of nw_ucla, as1, as2 or
            as3 of msr_action3d.
        split: number of the split.
        train_split: name of the split to train on, for pickle and folder.
        test_split: likewise, to test on.
        validation_fold: part of the training clips that is held out and scored while
            training: a person, or a fifth of each class where persons are not known;
            -1 for none.
        axes: the order of frames (t), persons (m), joints (v) and channels (c) in
            arrays: tmvc, ctvm or mtvc; auto where their shapes decide it.
        channels: of a joint in arrays: xy, xyc, xyz or xyzc, c a confidence; auto where
            the numbers decide it.
        least_confidence: joints of less are missing; -1 for 0.5 of MediaPipe's
            visibility, above 0 of keypoint_score and 0.3 of other confidences.
        skip_bad: leaves out clips that cannot be used, and counts them.
        missing: missing joints are hidden (mask) or filled in from the frames around
            them (interpolate).
        num_frames: T of what the network sees of each clip.
        frames: they are the clip, resized by linear interpolation (resize), or whole
            frames of it (draw): in training drawn at random with replacement and
            sorted, else evenly spaced.
        unit_size: each clip is divided by the size of its persons.
        min_max: each axis of each whole clip is moved and scaled to [-1, 1], after the
            random turns of training; where a clip stands and how large it is, and so
            centring and random scales before, change nothing.
    """

    name: Annotated[str, one_of((*SETS, *READERS))] = "nw_ucla"
    path: str = ""
    train_path: str = ""
    test_path: str = ""
    layout: str = ""
    protocol: str = ""
    split: Annotated[int, at_least(0)] = 0
    train_split: str = "train"
    test_split: str = "test"
    validation_fold: Annotated[int, at_least(-1)] = -1
    axes: Annotated[str, one_of(AXES)] = "auto"
    channels: Annotated[str, one_of(CHANNELS)] = "auto"
    least_confidence: Annotated[float, CONFIDENCE] = -1.0
    skip_bad: bool = False
    missing: Annotated[str, one_of(MISSING)] = "mask"
    num_frames: Count = 32
    frames: Annotated[str, one_of(FRAMES)] = "resize"
    unit_size: bool = False
    min_max: bool = False

    def check_together(self) -> None:
        """Some sets have a path of their own, or two; sizes are made alike once."""
        check_protocol(self.name, self.protocol)
        if self.unit_size and self.min_max:
            self.refuse("unit_size", "be false with data.min_max")
        two = bool(self.train_path), bool(self.test_path)
        if any(two):
            if not (all(two) and self.name in PAIRS):
                names = " or ".join(PAIRS)
                got = f"{self.train_path!r} and {self.test_path!r} for {self.name}"
                text = f"come together with data.test_path, for data.name={names}"
                self.refuse("train_path", text, got)
        elif bool(self.path) != (self.name in READERS):
            wanted = "a file or folder" if self.name in READERS else "empty"
            self.refuse("path", f"be {wanted} for data.name={self.name}")

    @property
    def reading(self) -> Reading:
        """How arrays of joints are read."""
        names = ("axes", "channels", "least_confidence")
        return Reading(**{name: getattr(self, name) for name in names})


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
    # What does not change the reading must not read anew.
    source = dataclasses.replace(
        config, split=0, validation_fold=-1, num_frames=1, frames="resize",
        unit_size=False, min_max=False,
    )  # fmt: skip
    return _read(folder, source)


@functools.lru_cache(maxsize=2)
def _read(folder, config):
    """(clips, [(places to train on, places to test on)])."""
    if config.name in SETS:
        clips, splits = sets.load(config.name, folder, config.protocol)
        clips = _with_layout(clips, config) if config.layout else clips
    else:
        clips, splits = READERS[config.name](pathlib.Path(folder), config)
    for part, places in zip(("train", "test"), splits[0], strict=True):
        if not len(places):
            raise ValueError(f"data.{part}_split must have clips; got none of them.")
    _tell_untrained(config.name, clips, splits)
    return interpolated(clips) if config.missing == "interpolate" else clips, splits


def _tell_untrained(name, clips, splits):
    """Classes that no split trains on are seldom meant: labels may count from 1."""
    used = np.concatenate([train for train, _ in splits])
    counts = np.bincount(clips.labels[used], minlength=len(clips.class_names))
    absent = [clips.class_names[place] for place in np.flatnonzero(counts == 0)]
    if absent:
        hint = " Its labels should count from 0." if name in PAIRS else ""
        notice(
            f"data.name={name}: {len(absent)} of {len(counts)} classes have no clip to "
            f"train on: {first_of(absent)}.{hint}"
        )


def _with_layout(clips, config):
    try:
        return dataclasses.replace(clips, layout=load_layout(config.layout))
    except ValueError as error:
        raise ValueError(
            f"data.layout must fit data.name={config.name}, whose joints are those "
            f"of {clips.layout.name}: {error}"
        ) from None
