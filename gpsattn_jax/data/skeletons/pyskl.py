"""The pickle of pyskl and mmaction2: annotated skeletons and named splits."""

import os
from collections.abc import Sequence

import numpy as np
from absl import logging

from gpsattn_jax.data.files.pickles import read_pickle
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import missing_joints
from gpsattn_jax.data.skeletons.join import join_clips
from gpsattn_jax.data.skeletons.layout import Layout

_MOST_CLASSES = 100_000


def read_annotations(
    path: str | os.PathLike,
    layout: Layout,
    *,
    class_names: Sequence[str] | None = None,
    score: float = 0.0,
) -> tuple[Clips, dict[str, np.ndarray]]:
    """Clips and splits from {"split": …, "annotations": …}; nothing in it is run.

    Args:
        path: "split" is {name: [frame_dir]}, "annotations" a list of dicts with
            frame_dir, label, keypoint [M, T, V, C] and, if there are, total_frames,
            keypoint_score [M, T, V] and img_shape. The older form, a list of such
            dicts alone, has no splits.
        layout: of the joints: "coco17" for poses by HRNet, "ntu25" for Kinect's.
        class_names: of the labels; their numbers by default.
        score: a joint is masked if its score is not above this.

    Returns:
        (clips, {split: places}). Flat joints with an img_shape (height, width), which
        are in pixels, are moved to the picture's middle and divided by half of its
        longer side.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it, or the clip.
    """
    told = read_pickle(path)
    found, split = told, {}
    if isinstance(told, dict):
        found, split = told.get("annotations"), told.get("split", {})
    if not isinstance(found, list) or not found or not isinstance(split, dict):
        raise ValueError(f"{path}: must be annotations, or a dict of them and a split.")
    size = os.path.getsize(path)
    clips = []
    for number, annotation in enumerate(found):
        clip = _read(path, number, annotation, score)
        clips.append(clip)
        # A file may name one array many times.
        size -= clip["joints"].size
        if size < 0:
            raise ValueError(f"{path}: its clips must be no larger than the file.")
    labels = [clip["label"] for clip in clips]
    names = [clip["name"] for clip in clips]
    try:
        joined = join_clips(
            [clip["joints"] for clip in clips],
            labels=labels,
            names=names,
            class_names=class_names or [str(i) for i in range(max(labels) + 1)],
            layout=layout,
            masks=[clip["mask"] for clip in clips]
            if any(clip["mask"] is not None for clip in clips)
            else None,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return joined, _places(path, split, names)


def _read(path, number, annotation, score):
    """The fields of one annotation, checked."""
    where = f"{path}: annotation {number}"
    if not isinstance(annotation, dict):
        raise ValueError(f"{where} must be a dict; got {type(annotation).__name__}.")
    name = annotation.get("frame_dir", annotation.get("filename"))
    if not isinstance(name, str):
        raise ValueError(f"{where}: frame_dir must be a text; got {name!r}.")
    where = f"{path}: {name}"
    label = annotation.get("label")
    if not isinstance(label, int) or not 0 <= label < _MOST_CLASSES:
        raise ValueError(
            f"{where}: label must be in 0..{_MOST_CLASSES - 1}; got {label!r}."
        )
    joints = _array(where, "keypoint", annotation.get("keypoint"), 4)
    frames = annotation.get("total_frames", joints.shape[1])
    if frames != joints.shape[1]:
        raise ValueError(
            f"{where}: keypoint must have total_frames={frames!r} frames; "
            f"got {joints.shape[1]}."
        )
    mask = None
    if annotation.get("keypoint_score") is not None:
        scores = _array(where, "keypoint_score", annotation["keypoint_score"], 3)
        if scores.shape != joints.shape[:3]:
            raise ValueError(
                f"{where}: keypoint_score must be {joints.shape[:3]}; "
                f"got {scores.shape}."
            )
        mask = (missing_joints(joints) & (scores > score)).swapaxes(0, 1)
    elif joints.shape[-1] == 2:
        mask = missing_joints(joints).swapaxes(0, 1)
    joints = _from_pixels(where, joints, annotation.get("img_shape"))
    return {
        "name": name, "label": label, "joints": joints.swapaxes(0, 1), "mask": mask
    }  # fmt: skip


def _array(where, field, array, axes):
    if isinstance(array, np.ndarray):
        array = np.asarray(array)
        if array.ndim == axes and array.dtype.kind in "fiu":
            return array
    raise ValueError(f"{where}: {field} must be an array of numbers of {axes} axes.")


def _from_pixels(where, joints, picture):
    if picture is None or joints.shape[-1] != 2:
        return joints
    sizes = isinstance(picture, tuple | list) and [
        size for size in picture[:2] if isinstance(size, int) and size > 0
    ]
    if not sizes or len(sizes) != 2:
        raise ValueError(f"{where}: img_shape must be (height, width).")
    height, width = sizes
    middle = np.array([width, height], np.float32) / 2
    with np.errstate(all="ignore"):  # what is not finite is masked
        return (joints.astype(np.float32) - middle) / np.float32(max(height, width) / 2)


def _places(path, split, names):
    places = {name: place for place, name in enumerate(names)}
    splits = {}
    for part, wanted in split.items():
        if not isinstance(wanted, list) or not all(isinstance(n, str) for n in wanted):
            raise ValueError(f"{path}: split {part!r} must be a list of names.")
        found = [places[name] for name in wanted if name in places]
        if len(found) < len(wanted):
            # Such files list videos in which no skeleton was found.
            logging.warning(
                "%s: split %s names %d clips that are not there.",
                path, part, len(wanted) - len(found),
            )  # fmt: skip
        splits[str(part)] = np.array(found, np.int64)
    return splits
