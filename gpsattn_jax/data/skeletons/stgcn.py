"""The pairs of st-gcn and its followers: joints in `.npy`, labels in `.pkl`."""

import os
import pathlib
import re

import numpy as np

from gpsattn_jax.data.files.numpy_files import read_npy
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.join import UNKNOWN
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import shortened
from gpsattn_jax.data.skeletons.padded_sets import Part, join_parts
from gpsattn_jax.data.skeletons.pickle_files import load_pickle, whole_number
from gpsattn_jax.data.skeletons.reading import Reading

_MOST_CLASSES = 100_000
_AXES = "ctvm"  # of a clip, as st-gcn's tools write it


def read_stgcn(
    train: str | os.PathLike,
    test: str | os.PathLike,
    *,
    layout: Layout,
    reading: Reading | None = None,
    skip_bad: bool = False,
) -> tuple[Clips, list[tuple[np.ndarray, np.ndarray]]]:
    """Clips and their one split from two arrays, each with its labels beside it.

    Args:
        train: `NAME_data.npy` (or `NAME_data_joint.npy`), [N, C, T, V, M] with padding
            of zeros; `NAME_label.pkl` beside it holds (names, labels).
        test: likewise.
        layout: of the joints.
        reading: of other axes, of channels and confidence.
        skip_bad: leaves out clips without joints, and counts them.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: names the file and what is wrong with it.
    """
    parts = [_part(pathlib.Path(path)) for path in (train, test)]
    doubled = sorted(set(parts[0].names) & set(parts[1].names))
    if doubled:
        raise ValueError(
            f"{test}: clips must not be those of {train}; got {doubled[0]!r} in both."
        )
    count = int(max(part.labels.max() for part in parts)) + 1
    clips, (first, second) = join_parts(
        parts,
        class_names=[str(i) for i in range(count)],
        layout=layout,
        reading=reading or Reading(),
        usual_axes=_AXES,
        where=f"{train} and {test}",
        skip_bad=skip_bad,
    )
    return clips, [(first, second)]


def read_stgcn_array(
    name: str, joints: np.ndarray, layout: Layout, reading: Reading
) -> Clips:
    """The clips of an array [N, C, T, V, M], whose classes are not known.

    Args:
        name: of its file.
        joints: with padding of zeros.
        layout: of the joints.
        reading: of other axes, of channels and confidence.
    """
    _check(name, joints)
    names = [f"{name}: {i}" for i in range(len(joints))]
    part = Part(name, joints, np.zeros(len(joints), np.int64), names)
    clips, _ = join_parts(
        [part],
        class_names=[UNKNOWN],
        layout=layout,
        reading=reading,
        usual_axes=_AXES,
        where=name,
    )
    return clips


def pair_in(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The arrays to train and to test on in a folder of st-gcn's.

    Raises:
        FileNotFoundError: if one is not there.
    """
    found = []
    for kinds in (("train",), ("test", "val")):
        names = [f"{kind}_data{end}.npy" for kind in kinds for end in ("", "_joint")]
        paths = [folder / name for name in names if (folder / name).is_file()]
        if not paths:
            raise FileNotFoundError(
                f"{folder}: must have one of {', '.join(names)}; or name the files "
                "with --data.train_path and --data.test_path."
            )
        found.append(paths[0])
    return found[0], found[1]


def _part(path):
    joints = read_npy(path)
    _check(path, joints)
    stem = re.sub(r"_data(_joint|_bone)?(_motion)?$", "", path.stem)
    beside = path.with_name(f"{stem}_label.pkl")
    content = load_pickle(beside)
    fine = isinstance(content, tuple | list) and len(content) == 2
    if not fine:
        raise ValueError(
            f"{beside}: must be (names, labels); got {shortened(content)}."
        )
    names, labels = (
        value.tolist() if isinstance(value, np.ndarray) else value for value in content
    )
    for field, values in (("names", names), ("labels", labels)):
        if not isinstance(values, list | tuple) or len(values) != len(joints):
            raise ValueError(
                f"{beside}: {field} must be a list of the {len(joints)} clips of "
                f"{path.name}; got {shortened(values)}."
            )
    numbers = [whole_number(label, _MOST_CLASSES - 1) for label in labels]
    for place, (name, number) in enumerate(zip(names, numbers, strict=True)):
        if not isinstance(name, str) or number is None:
            raise ValueError(
                f"{beside}: clip {place} must have a text as name and a label in "
                f"0..{_MOST_CLASSES - 1}; got {shortened(name)}, "
                f"{shortened(labels[place])}."
            )
    return Part(str(path), joints, np.array(numbers), names)


def _check(name, joints):
    if joints.ndim != 5 or not joints.size or joints.dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: must be numbers [N, C, T, V, M]; "
            f"got {joints.shape} {joints.dtype}."
        )
