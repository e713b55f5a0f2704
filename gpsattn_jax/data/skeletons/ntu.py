"""NTU RGB+D 60 and 120, in the npz files that public preprocessing makes."""

import os
import pathlib

import numpy as np

from gpsattn_jax.data.files.numpy_files import read_npz
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.layouts import LAYOUTS

_SHAPE = (2, 25, 3)  # persons, joints, coordinates; 150 numbers a frame
_BLOCK = 512  # clips looked at together: the sets have gigabytes


def ntu_npz(
    path: str | os.PathLike,
) -> tuple[Clips, list[tuple[np.ndarray, np.ndarray]]]:
    """Clips and their one split from `x_train`, `y_train`, `x_test`, `y_test`.

    Args:
        path: x is [N, T, 150] (2 persons x 25 joints x 3), y one-hot [N, classes]; the
            layout of CTR-GCN's preprocessing. Frames of zeros at the end are padding;
            a person of zeros is absent.

    Returns:
        (clips, [(places to train on, places to test on)]). Classes are named A001, …
        as in the set's file names.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file, the array or clip, what was expected and got.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such NTU file.")
    parts = []
    for part in ("train", "test"):
        arrays = read_npz(path, f"x_{part}", f"y_{part}")
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        _check(path, part, x, y)
        parts.append((*_trim(path, part, x), y.argmax(1), y.shape[1]))
    if parts[0][4] != parts[1][4]:
        raise ValueError(
            f"{path}: y_test must have the {parts[0][4]} classes of y_train; "
            f"got {parts[1][4]}."
        )
    return _join(parts)


def _check(path, part, x, y):
    if x.ndim != 3 or x.shape[2] != 150 or x.size == 0 or x.dtype.kind != "f":
        raise ValueError(
            f"{path}: x_{part} must be [N, T, 150] floats; got {x.shape} {x.dtype}."
        )
    if y.ndim != 2 or len(y) != len(x) or y.shape[1] < 1:
        raise ValueError(
            f"{path}: y_{part} must be [{len(x)}, classes]; got {y.shape}."
        )
    wrong = np.flatnonzero((np.count_nonzero(y, axis=1) != 1) | (y.max(1) != 1))
    if wrong.size:
        raise ValueError(
            f"{path}: y_{part} must be one-hot; got another row at {wrong[0]}."
        )


def _trim(path, part, x):
    """Frames without padding [sum T, M, V, C], their mask, the clips' lengths."""
    joints, masks, lengths = [], [], []
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK].reshape(-1, x.shape[1], *_SHAPE)
        mask = np.isfinite(block).all(-1)
        # A joint at zero is no missing one: clips are centred on a joint.
        present = (mask & (block != 0).any(-1)).any(-1)
        count = x.shape[1] - np.argmax(present.any(-1)[:, ::-1], axis=1)
        for i in np.flatnonzero(~present.any((1, 2)))[:1]:
            raise ValueError(f"{path}: {part}_{start + i:05d} must have joints; got 0.")
        kept = np.arange(x.shape[1]) < count[:, None]
        mask = mask[kept] & present[kept][..., None]
        joints.append(np.where(mask[..., None], block[kept], 0).astype(np.float32))
        masks.append(mask)
        lengths.append(count)
    return np.concatenate(joints), np.concatenate(masks), np.concatenate(lengths)


def _join(parts):
    joints, mask, lengths, labels = (
        np.concatenate([part[field] for part in parts]) for field in range(4)
    )
    train, test = (len(part[2]) for part in parts)
    names = [f"train_{i:05d}" for i in range(train)]
    names += [f"test_{i:05d}" for i in range(test)]
    clips = Clips(
        joints,
        mask,
        np.concatenate([[0], np.cumsum(lengths)]),
        labels.astype(np.int32),
        tuple(names),
        tuple(f"A{i:03d}" for i in range(1, parts[0][4] + 1)),
        LAYOUTS["ntu25"],
    )
    return clips, [(np.arange(train), np.arange(train, train + test))]
