"""The public sets of small skeleton clips: their clips, classes and protocols."""

import dataclasses
import os
import pathlib

import numpy as np

from gpsattn_jax.data.data_folder import ADVICE
from gpsattn_jax.data.files.numpy_files import read_npz
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.join import join_clips
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.protocols import (
    actions_of,
    check_protocol,
    split_views,
    with_clips,
)

Split = tuple[np.ndarray, np.ndarray]
# What arrays of other shapes and types raise.
_UNFIT = ArithmeticError, AttributeError, IndexError, MemoryError, TypeError, ValueError
FOLDS = 5  # of a set whose persons are not known


@dataclasses.dataclass(frozen=True)
class _Set:
    layout: str
    class_names: tuple[str, ...]


SETS = {
    "nw_ucla": _Set(
        "nw_ucla20",
        (
            "pick up with one hand", "pick up with two hands", "drop trash",
            "walk around", "sit down", "stand up", "donning", "doffing", "throw",
            "carry",
        ),
    ),
    "jhmdb14": _Set(
        "jhmdb15",
        (
            "catch", "clap", "golf", "jump", "pick", "pour", "pullup", "push", "run",
            "sit", "stand", "throw", "walk", "wave",
        ),
    ),
    "utkinect": _Set(
        "utkinect20",
        (
            "walk", "sit down", "stand up", "pick up", "carry", "throw", "push", "pull",
            "wave hands", "clap hands",
        ),
    ),
    "florence3d": _Set(
        "florence15",
        (
            "wave", "drink from a bottle", "answer phone", "clap", "tight lace",
            "sit down", "stand up", "read watch", "bow",
        ),
    ),
    "msr_action3d": _Set(
        "msr20",
        (
            "high arm wave", "horizontal arm wave", "hammer", "hand catch",
            "forward punch", "high throw", "draw x", "draw tick", "draw circle",
            "hand clap", "two hand wave", "side boxing", "bend", "forward kick",
            "side kick", "jogging", "tennis swing", "tennis serve", "golf swing",
            "pick up and throw",
        ),
    ),
}  # fmt: skip


def load(
    name: str, folder: str | os.PathLike, protocol: str = ""
) -> tuple[Clips, list[Split]]:
    """A set's clips, and its splits as (places to train on, places to test on).

    Args:
        name: a key of `SETS`. NW-UCLA has one split (views 1 and 2, view 3), JHMDB
            three, the others ten, each of five persons and five. Of MSR-Action3D the
            557 clips that all papers use.
        folder: holds NAME.npz, or skeletons/NAME.npz.
        protocol: another one than the usual, see `protocols`.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if there is no such set or protocol, or the file is not that set.
    """
    if name not in SETS:
        raise ValueError(f"set must be one of {', '.join(SETS)}; got {name!r}.")
    check_protocol(name, protocol)
    path = pathlib.Path(folder) / "skeletons" / f"{name}.npz"
    path = path if path.is_file() else pathlib.Path(folder) / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} (or skeletons/{name}.npz beside it): no such set of skeletons. "
            f"{ADVICE}"
        )
    arrays = read_npz(path)
    try:
        actions = actions_of(arrays, protocol)
        arrays = _used(arrays, actions)
        return _clips(name, arrays, actions), _splits(arrays, protocol)
    except KeyError as error:
        raise ValueError(f"{path}: must have the array {error}.") from None
    except (
        ArithmeticError,
        AttributeError,
        IndexError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{path}: its arrays must fit each other: {error}") from None


def validation(clips: Clips, train: np.ndarray, fold: int) -> Split:
    """Divides a split's training clips: (train on, validate on), as places in `clips`.

    By held-out person, one a fold, where persons are known; else a fifth of each class,
    drawn once and for all. A function of its arguments alone.

    Args:
        clips: of a set.
        train: places in `clips` that a split trains on.
        fold: number of the part that is held out.

    Raises:
        ValueError: if there is no such fold.
    """
    train = np.asarray(train)
    if clips.groups is not None:
        persons = np.unique(clips.groups[train])
        _check_fold(fold, len(persons))
        held = clips.groups[train] == persons[fold]
    else:
        _check_fold(fold, FOLDS)
        order = np.random.default_rng(0).permutation(len(train))
        held = np.zeros(len(train), bool)
        for label in np.unique(clips.labels[train]):
            of_class = order[clips.labels[train][order] == label]
            held[of_class[fold::FOLDS]] = True
    return train[~held], train[held]


def _used(arrays, actions):
    """MSR-Action3D without the clips that nobody uses; one of them is all zeros."""
    if "used557" not in arrays:
        return arrays
    used = arrays["used557"]
    if actions is not None:
        used = used & np.isin(arrays["labels"], actions)
    return with_clips(arrays, used)


def _clips(name, arrays, actions):
    known = SETS[name]
    count = len(arrays["labels"])
    names = arrays.get("names", [f"{name}_{i:04d}" for i in range(count)])
    labels, class_names = arrays["labels"], known.class_names
    if actions is not None:
        labels = np.searchsorted(actions, labels)
        class_names = tuple(class_names[action] for action in actions)
    return join_clips(
        np.split(arrays["coords"], arrays["offsets"][1:-1]),
        labels=labels,
        names=[str(clip) for clip in names],
        class_names=class_names,
        layout=LAYOUTS[known.layout],
        groups=arrays.get("subject"),
    )


def _splits(arrays, protocol):
    if "view" in arrays:
        return [_split(arrays["view"], *split_views(protocol))]
    if "split" in arrays:
        return [_split(parts, (1,), (2,)) for parts in arrays["split"].T]
    return [
        _split(arrays["subject"], train, test)
        for train, test in zip(
            arrays["tr_subjects"], arrays["te_subjects"], strict=True
        )
    ]


def _split(kinds, train, test):
    return np.flatnonzero(np.isin(kinds, train)), np.flatnonzero(np.isin(kinds, test))


def _check_fold(fold, count):
    if not 0 <= fold < count:
        raise ValueError(f"validation_fold must be in 0..{count - 1}; got {fold}.")
