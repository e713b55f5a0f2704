"""NTU RGB+D 60 and 120, in the npz files that public preprocessing makes."""

import os
import pathlib

import numpy as np

from gpsattn_jax.data.files.numpy_files import npz_names, read_npz
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.join import UNKNOWN
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.messages import first_of, notice
from gpsattn_jax.data.skeletons.padded_sets import Part, join_parts
from gpsattn_jax.data.skeletons.reading import Reading

_SHAPE = (2, 25, 3)  # persons, joints, coordinates; 150 numbers a frame
_MOST_CLASSES = 100_000
_TESTED = ("test", "val")


def ntu_npz(
    path: str | os.PathLike,
    *,
    layout: Layout | None = None,
    reading: Reading | None = None,
    skip_bad: bool = False,
    labelled: bool = True,
) -> tuple[Clips, list[tuple[np.ndarray, np.ndarray]]]:
    """Clips and their one split from `x_train`, `y_train`, `x_test`, `y_test`.

    Args:
        path: x is [N, T, 150] (2 persons x 25 joints x 3), as CTR-GCN's preprocessing
            lays it out, or has five axes, such as [N, C, T, V, M]; y is one-hot [N,
            classes] or numbers [N]. `x_val` and `y_val` stand for the test where there
            is none. Frames of zeros at the end are padding; a person of zeros is
            absent.
        layout: of the joints of five axes; ntu25 by default.
        reading: of axes, channels and confidence.
        skip_bad: leaves out clips without joints, and counts them.
        labelled: whether labels and both parts are asked for; else all clips that are
            there are of one unknown class.

    Returns:
        (clips, [(places to train on, places to test on)]). Classes are named A001, …
        as in the set's file names.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file, the array or clip, what was expected and got.
    """
    path, layout = pathlib.Path(path), layout or LAYOUTS["ntu25"]
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such NTU file.")
    names = npz_names(path)
    chosen = _parts(path, names, labelled)
    parts, counts = [], []
    for part in chosen:
        wanted = [f"x_{part}", f"y_{part}"][: 1 + labelled]
        arrays = read_npz(path, *wanted)
        x = _joints(path, part, arrays[f"x_{part}"])
        labels, count = np.zeros(len(x), np.int64), 1
        if labelled:
            labels, count = _labels(path, part, arrays[f"y_{part}"], len(x))
        counts.append(count)
        own_names = [f"{part}_{i:05d}" for i in range(len(x))]
        parts.append(Part(f"{path}: x_{part}", x, labels, own_names))
    one_hot = [count for count in counts if count]
    if len(set(one_hot)) > 1:
        raise ValueError(
            f"{path}: y_{chosen[1]} must have the {counts[0]} classes of y_train; "
            f"got {counts[1]}."
        )
    classes = max([*one_hot, *(int(part.labels.max()) + 1 for part in parts)])
    class_names = [f"A{i:03d}" for i in range(1, classes + 1)]
    clips, places = join_parts(
        parts,
        class_names=class_names if labelled else [UNKNOWN],
        layout=layout,
        reading=reading or Reading(),
        where=str(path),
        skip_bad=skip_bad,
    )
    return clips, [(places[0], places[-1])]


def _parts(path, names, labelled):
    """The arrays' parts that are read: train, and test or val."""
    tested = [part for part in _TESTED if f"x_{part}" in names]
    if not labelled:
        found = [part for part in ("train", *_TESTED) if f"x_{part}" in names]
        if found:
            return found
        raise ValueError(
            f"{path}: must have the array joints, or x_test; "
            f"it has {first_of(list(names))}."
        )
    for wanted in ("x_train", "y_train", *(f"y_{part}" for part in tested[:1])):
        if wanted not in names:
            raise ValueError(
                f"{path}: must have the array {wanted}; it has {first_of(list(names))}."
            )
    if not tested:
        raise ValueError(
            f"{path}: must have the array x_test or x_val; "
            f"it has {first_of(list(names))}."
        )
    if len(tested) > 1:
        notice(f"{path}: x_val is not used, since there is x_test.")
    return ["train", tested[0]]


def _joints(path, part, x):
    """[N, T, M, V, C], or five axes as they are."""
    flat = x.ndim == 3 and x.shape[2] == 150
    if not (flat or x.ndim == 5) or x.size == 0 or x.dtype.kind != "f":
        raise ValueError(
            f"{path}: x_{part} must be [N, T, 150] floats, or have five axes; "
            f"got {x.shape} {x.dtype}."
        )
    return x.reshape(*x.shape[:2], *_SHAPE) if flat else x


def _labels(path, part, y, count):
    """(numbers [N], the number of classes if y tells it, else 0)."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2) or len(y) != count or y.dtype.kind not in "fiub":
        raise ValueError(
            f"{path}: y_{part} must be [{count}, classes] or [{count}]; "
            f"got {y.shape} {y.dtype}."
        )
    if y.ndim == 2:
        wrong = np.flatnonzero((np.count_nonzero(y, axis=1) != 1) | (y.max(1) != 1))
        if wrong.size:
            raise ValueError(
                f"{path}: y_{part} must be one-hot; got another row at {wrong[0]}."
            )
        return y.argmax(1), y.shape[1]
    wrong = np.flatnonzero(~((y >= 0) & (y < _MOST_CLASSES) & (y == np.floor(y))))
    if wrong.size:
        raise ValueError(
            f"{path}: y_{part} must be numbers 0..{_MOST_CLASSES - 1}; "
            f"got {y[wrong[0]]} at {wrong[0]}."
        )
    return y.astype(np.int64), 0
