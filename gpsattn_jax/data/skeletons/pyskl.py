"""The pickle of pyskl and mmaction2: annotated skeletons and named splits."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpsattn_jax.data.skeletons.bad_clips import BadClips
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import missing_joints
from gpsattn_jax.data.skeletons.join import UNKNOWN
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import first_of, notice, shortened
from gpsattn_jax.data.skeletons.pickle_files import load_pickle, whole_number
from gpsattn_jax.data.skeletons.raw_clips import join_raw_clips
from gpsattn_jax.data.skeletons.reading import RawClip, Reading

_MOST_CLASSES = 100_000


def read_annotations(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    layout: Layout,
    *,
    class_names: Sequence[str] | None = None,
    reading: Reading | None = None,
    skip_bad: bool = False,
    labelled: bool = True,
) -> tuple[Clips, dict[str, np.ndarray]]:
    """Clips and splits from {"split": …, "annotations": …}; nothing in it is run.

    Args:
        path: of one file, or of several that are joined. "split" is {name:
            [frame_dir]}, "annotations" a list of dicts with frame_dir, label, keypoint
            [M, T, V, C] and, if there are, total_frames, keypoint_score [M, T, V] and
            img_shape. The older form, a list of such dicts alone, has no splits.
        layout: of the joints: "coco17" for poses by HRNet, "ntu25" for Kinect's.
        class_names: of the labels; their numbers by default.
        reading: of axes other than [M, T, V, C], of a third or fourth channel, and of
            confidences; those in keypoint_score must be above 0 if it does not say
            more.
        skip_bad: leaves out the annotations that do not fit, and counts them.
        labelled: whether labels are asked for; else all clips are of one unknown class.

    Returns:
        (clips, {split: places}); of several files {their path: places} as well. Flat
        joints with an img_shape (height, width), which are in pixels, are moved to the
        picture's middle and divided by half of its longer side.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: names the file and what is wrong with it, or the clips.
    """
    reading = reading or Reading()
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    where = " and ".join(map(str, paths))
    bad, clips, labels, total = BadClips(where, skip_bad), [], [], 0
    found: dict[str, Mapping[Any, Any]] = {}
    owners: dict[str, list[str]] = {}
    for each in paths:
        annotations, found[str(each)] = _content(each)
        total += len(annotations)
        size = os.path.getsize(each)
        for number, annotation in enumerate(annotations):
            name = f"{each}: {_name(annotation, number)}"
            try:
                clips.append(_clip(name, annotation, reading))
                labels.append(_label(name, annotation) if labelled else 0)
            except ValueError as error:
                del clips[len(labels) :]
                bad.add(name, error)
                continue
            owners.setdefault(str(each), []).append(_name(annotation, number))
            # A file may name one array many times.
            size -= clips[-1].joints.size
            if size < 0:
                raise ValueError(f"{each}: its clips must be no larger than the file.")
    if not clips:
        bad.settle(total)
    numbers = [str(i) for i in range(max(labels) + 1)] if labelled else [UNKNOWN]
    joined = join_raw_clips(
        clips,
        labels=labels,
        class_names=class_names or numbers,
        layout=layout,
        reading=reading,
        where=where,
        bad=bad,
        total=total,
        short_names=[name for names in owners.values() for name in names],
    )
    splits: dict[str, np.ndarray] = {}
    for file, split in found.items():
        splits |= _places(file, split, joined.names, bad)
    if len(paths) > 1:
        for file, names in owners.items():
            splits |= _places(file, {file: names}, joined.names, bad)
    return joined, splits


def _content(path):
    """(annotations, splits) of a file."""
    content = load_pickle(path)
    annotations: Any = content
    split: Any = None
    if isinstance(content, dict):
        annotations, split = content.get("annotations"), content.get("split")
    split = {} if split is None else split
    if not isinstance(annotations, list) or not annotations:
        raise ValueError(
            f"{path}: must be annotations, or a dict of them and a split; "
            f"got {_fields(content)}."
        )
    if not isinstance(split, dict):
        raise ValueError(f"{path}: split must be a dict; got {shortened(split)}.")
    return annotations, split


def _name(annotation, number):
    if isinstance(annotation, dict):
        name = annotation.get("frame_dir", annotation.get("filename"))
        if isinstance(name, str):
            return name
    return f"annotation {number}"


def _clip(name, annotation, reading):
    """One annotation, checked."""
    if not isinstance(annotation, dict):
        raise ValueError(f"{name}: must be a dict; got {shortened(annotation)}.")
    given = annotation.get("frame_dir", annotation.get("filename"))
    if not isinstance(given, str):
        raise ValueError(f"{name}: frame_dir must be a text; got {shortened(given)}.")
    if annotation.get("keypoint") is None:
        raise ValueError(
            f"{name}: keypoint must be an array [M, T, V, C]; got none among "
            f"{_fields(annotation)}."
        )
    joints = _array(name, "keypoint", annotation["keypoint"], 4)
    axes = "mtvc" if reading.axes == "auto" else "auto"
    if axes == "mtvc":
        _check_frames(name, joints, annotation.get("total_frames"))
    mask, channels = None, "auto"
    if annotation.get("keypoint_score") is not None:
        scores = _array(name, "keypoint_score", annotation["keypoint_score"], 3)
        if scores.shape != joints.shape[:3]:
            raise ValueError(
                f"{name}: keypoint_score must be {joints.shape[:3]}; "
                f"got {scores.shape}."
            )
        mask = (scores >= reading.least(0.0)) & (scores > 0) & missing_joints(joints)
        if reading.channels == "auto":  # the confidence has a place of its own
            channels = {2: "xy", 3: "xyz"}.get(joints.shape[-1], "auto")
    picture = _picture(name, annotation.get("img_shape"))
    return RawClip(name, joints, mask, axes, channels, picture=picture)


def _check_frames(name, joints, frames):
    if not joints.shape[0]:
        raise ValueError(f"{name}: keypoint must have persons; got {joints.shape}.")
    if frames is None:
        return
    count = whole_number(frames, 2**40)
    if count is None:
        raise ValueError(
            f"{name}: total_frames must be a number; got {shortened(frames)}."
        )
    if count != joints.shape[1]:
        raise ValueError(
            f"{name}: keypoint must have total_frames={count} frames as "
            f"[M, T, V, C]; got {joints.shape[1]} in {joints.shape}. Other orders are "
            "read with --data.axes."
        )


def _label(name, annotation):
    given = annotation.get("label")
    label = whole_number(given, _MOST_CLASSES - 1)
    if label is None:
        raise ValueError(
            f"{name}: label must be a whole number in 0..{_MOST_CLASSES - 1}; "
            f"got {shortened(given)}."
        )
    return label


def _array(name, field, array, axes):
    if isinstance(array, np.ndarray):
        array = np.asarray(array)
        if array.ndim == axes and array.dtype.kind in "fiu":
            return array
    raise ValueError(
        f"{name}: {field} must be an array of numbers of {axes} axes; "
        f"got {shortened(array)}."
    )


def _picture(name, picture):
    if picture is None:
        return None
    sizes = np.asarray(picture).tolist() if isinstance(picture, np.ndarray) else picture
    sizes = list(sizes[:2]) if isinstance(sizes, tuple | list) else []
    if len(sizes) != 2 or not all(isinstance(n, int) and 0 < n < 2**31 for n in sizes):
        raise ValueError(
            f"{name}: img_shape must be (height, width); got {shortened(picture)}."
        )
    return sizes[0], sizes[1]


def _places(path, split, names, bad):
    """{name of a part: the places of its clips}."""
    places = {name: place for place, name in enumerate(names)}
    splits = {}
    for part, wanted in split.items():
        if isinstance(wanted, np.ndarray):
            wanted = wanted.tolist()
        many = isinstance(wanted, list | tuple | set | frozenset)
        if not many or not all(isinstance(name, str) for name in wanted):
            raise ValueError(
                f"{path}: split {shortened(part)} must be a list of names; "
                f"got {shortened(wanted)}."
            )
        twice = [name for name, count in Counter(wanted).items() if count > 1]
        if twice:
            raise ValueError(
                f"{path}: split {shortened(part)} must name each clip once; "
                f"it repeats {first_of(twice, 3)}."
            )
        found = [places[name] for name in wanted if name in places]
        if isinstance(wanted, set | frozenset):
            found.sort()  # a set has no order
        absent = [n for n in wanted if n not in places and f"{path}: {n}" not in bad]
        if absent:
            # Such files list videos in which no skeleton was found.
            notice(
                f"{path}: split {shortened(part)} names {len(absent)} clips that are "
                f"not there: {first_of(sorted(absent), 3)}."
            )
        splits[str(part)] = np.array(found, np.int64)
    return splits


def _fields(value):
    if isinstance(value, dict):
        return f"the fields {first_of([shortened(name) for name in value])}"
    return shortened(value)
