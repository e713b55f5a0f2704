"""Files of clips in every format: what they are by name, and how each is read."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from gpsattn_jax.data.files.numpy_files import npz_names, read_npy, read_npz
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.mediapipe_csv import VISIBLE, read_landmarks
from gpsattn_jax.data.skeletons.messages import first_of
from gpsattn_jax.data.skeletons.ntu_skeleton import read_skeleton
from gpsattn_jax.data.skeletons.pose_json import (
    OPENPOSE_FRAME,
    is_pose_json,
    read_json,
    read_openpose,
    read_pose_json,
)
from gpsattn_jax.data.skeletons.reading import RawClip, Reading

SUFFIXES = (".npy", ".npz", ".csv", ".json", ".skeleton")
LABELS = "labels.csv"
_NO_CLIPS = ("__MACOSX", "@eaDir")  # folders that other systems leave behind


@dataclasses.dataclass(frozen=True)
class ClipFile:
    """Where a clip is.

    Attributes:
        path: its file; of OpenPose the folder of its frames, and their common name
            where there are several clips in one folder.
        frames: OpenPose's files, one for each frame; else empty.
    """

    path: pathlib.Path
    frames: tuple[pathlib.Path, ...] = ()


def find_clips(
    folder: str | os.PathLike, leave_out: Sequence[str | os.PathLike] = ()
) -> dict[str, ClipFile]:
    """{name: where the clip is}, of all clips in a folder, to the bottom.

    A name is the path in the folder without its suffix. JSON files of OpenPose that are
    of one clip are found together; they have the name of their folder, or the one that
    theirs begin with where a folder has several clips.

    Args:
        folder: searched without following links to folders.
        leave_out: tables, and what else is no clip; `labels.csv` never is.

    Raises:
        FileNotFoundError: if there is no such folder, or no clip in it.
        ValueError: names two clips of one name.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of clips.")
    tables = {pathlib.Path(path).resolve() for path in (*leave_out, folder / LABELS)}
    found: dict[str, ClipFile] = {}
    frames: dict[pathlib.Path, dict[str, list[pathlib.Path]]] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part in _NO_CLIPS for part in parts)
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        match = OPENPOSE_FRAME.fullmatch(path.name)
        if match:
            frames.setdefault(path.parent, {}).setdefault(match[1], []).append(path)
        elif path.resolve() not in tables:
            name = path.relative_to(folder).with_suffix("").as_posix()
            _add(found, name, ClipFile(path))
    for parent, clips in frames.items():
        for begin, files in clips.items():
            alone = len(clips) == 1 and parent != folder
            path = parent if alone else parent / (begin or "frames")
            name = path.relative_to(folder).as_posix()
            _add(found, name, ClipFile(path, tuple(files)))
    if not found:
        raise FileNotFoundError(
            f"{folder}: no clips there; looked for {', '.join(SUFFIXES)}."
        )
    return found


def read_raw_clip(
    file: ClipFile | str | os.PathLike, layout: Layout, reading: Reading
) -> RawClip:
    """One clip as its file has it.

    Args:
        file: where it is; `.npy` with [T, V, C] or four axes; `.npz` with such
            `joints` and, if wanted, a `mask` without C; `.csv` of landmarks (see
            `read_landmarks`); `.json` of poses (see `read_pose_json`); `.skeleton` (see
            `read_skeleton`); or OpenPose's frames (see `read_openpose`).
        layout: of the joints.
        reading: of the least confidence.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it.
    """
    file = file if isinstance(file, ClipFile) else ClipFile(pathlib.Path(file))
    path, name = file.path, str(file.path)
    if file.frames:
        return read_openpose(name, file.frames, layout)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such clip.")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        joints, mask = read_landmarks(path, layout, reading.least(VISIBLE))
        channels = "xyz"[: joints.shape[-1]]
        return RawClip(name, joints, mask, axes="tmvc", channels=channels)
    if suffix == ".json":
        return read_pose_json(path, layout)
    if suffix == ".skeleton":
        return read_skeleton(path, layout)
    if suffix == ".npy":
        return RawClip(name, read_npy(path))
    if suffix == ".npz":
        return _read_archive(path)
    raise ValueError(f"{path}: must be one of {', '.join(SUFFIXES)}.")


def is_clip(file: ClipFile) -> bool:
    """Whether a file found by its suffix is a clip: JSON files may be anything."""
    if file.frames or file.path.suffix.lower() != ".json":
        return True
    try:
        return is_pose_json(read_json(file.path))
    except ValueError:
        return False


def _read_archive(path):
    """The arrays that a clip needs; others are not read."""
    names = npz_names(path)
    if "joints" not in names:
        raise ValueError(
            f"{path}: must have an array joints; it has {first_of(list(names))}."
        )
    arrays = read_npz(path, *(name for name in ("joints", "mask") if name in names))
    return RawClip(str(path), arrays["joints"], arrays.get("mask"))


def _add(found, name, file):
    if name in found:
        raise ValueError(
            f"{file.path}: clips must differ in name; got {found[name].path.name} as "
            "well."
        )
    found[name] = file
