"""Poses in JSON files: of OpenPose, AlphaPose, and Kinetics-skeleton."""

import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import shortened
from gpsattn_jax.data.skeletons.persons import Person, stack_persons
from gpsattn_jax.data.skeletons.reading import RawClip

OPENPOSE_FRAME = re.compile(r"(.*?)[_.]?(\d{1,15})_keypoints\.json", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"(\d{1,15})\D*$")
_CHANNELS = {3: "xyc", 4: "xyzc"}
_FLAT, _DEEP = ("pose_keypoints_2d", "pose_keypoints"), ("pose_keypoints_3d",)
# Of a person in an image of AlphaPose: its own form, "cmu" and "open".
_LISTS = ("people", "bodies")


def read_json(path: str | os.PathLike) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is not JSON.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise ValueError(f"{path}: must be JSON; got lists too deep.") from None
    except ValueError as error:
        raise ValueError(f"{path}: must be JSON; got {error}.") from None


def is_pose_json(content: Any) -> bool:
    """Whether a JSON file's content looks like poses of one of the known forms."""
    if isinstance(content, list):
        return bool(content) and _has(content[0], "keypoints")
    if not isinstance(content, dict):
        return False
    if _has(content, "people") or isinstance(content.get("data"), list):
        return True
    return any(_has(frame, *_LISTS) for frame in list(content.values())[:1])


def read_openpose(
    name: str, files: Sequence[str | os.PathLike], layout: Layout
) -> RawClip:
    """A clip of OpenPose: one JSON file for each frame, with its number in its name.

    Args:
        name: of the clip.
        files: `NAME_000000000000_keypoints.json`, …; numbers that are missing are
            frames without anybody.
        layout: of the joints: openpose25 for BODY_25, openpose18 for COCO.

    Raises:
        ValueError: names the file and the field that does not fit.
    """
    frames: dict[int, list[Person]] = {}
    for path in map(pathlib.Path, files):
        match = OPENPOSE_FRAME.fullmatch(path.name)
        number = int(match[2]) if match else len(frames)
        frames[number] = _people(str(path), read_json(path), layout)
    return _clip(name, frames, layout)


def read_pose_json(path: str | os.PathLike, layout: Layout) -> RawClip:
    """A clip from one JSON file.

    Args:
        path: Kinetics-skeleton ({"data": [{"frame_index", "skeleton": [{"pose",
            "score"}]}]}); AlphaPose ([{"image_id", "keypoints", "idx"}], or its forms
            by image); or one frame of OpenPose ({"people": […]}).
        layout: of the joints.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and the field that does not fit.
    """
    name, content = str(path), read_json(path)
    if isinstance(content, list):
        return _clip(name, _alphapose(name, content, layout), layout)
    if not is_pose_json(content):
        raise ValueError(
            f"{name}: must be poses: data (Kinetics-skeleton), people (OpenPose) or a "
            f"list of keypoints (AlphaPose); got {_description(content)}."
        )
    if isinstance(content.get("data"), list):
        return _clip(name, _kinetics(name, content["data"], layout), layout)
    if "people" in content:
        return _clip(name, {0: _people(name, content, layout)}, layout)
    return _clip(name, _by_image(name, content, layout), layout)


def _clip(name, frames, layout):
    widths = {joints.shape[1] for persons in frames.values() for _, joints in persons}
    if len(widths) > 1:
        raise ValueError(f"{name}: persons must all be flat, or all in space.")
    width = widths.pop() if widths else 3
    joints = stack_persons(name, frames, (layout.num_joints, width))
    return RawClip(name, joints, axes="tmvc", channels=_CHANNELS[width])


def _people(name, content, layout):
    """The persons of a frame of OpenPose."""
    if not _has(content, "people") or not isinstance(content["people"], list):
        raise ValueError(
            f"{name}: must be a frame of OpenPose with a list people; got "
            f"{_description(content)}."
        )
    found: list[Person] = []
    for place, person in enumerate(content["people"]):
        where = f"{name}: people {place}"
        for fields, width in ((_FLAT, 3), (_DEEP, 4)):
            values = [person[f] for f in fields if _has(person, f) and person[f]]
            if values:
                found.append(
                    (None, _joints(where, fields[0], values[0], layout, width))
                )
                break
        else:
            if not _has(person, *_FLAT, *_DEEP):
                raise ValueError(
                    f"{where}: must have pose_keypoints_2d; got {_description(person)}."
                )
    return found


def _kinetics(name, data, layout):
    frames: dict[int, list[Person]] = {}
    for place, frame in enumerate(data):
        where = f"{name}: data {place}"
        people = frame.get("skeleton") if isinstance(frame, dict) else None
        if not isinstance(people, list):
            raise ValueError(
                f"{where}: must have a list skeleton; got {_description(frame)}."
            )
        number = frame.get("frame_index", place)
        if type(number) is not int or not 0 <= number < 10**15:
            raise ValueError(
                f"{where}: frame_index must be a number from 0; "
                f"got {shortened(number)}."
            )
        frames[number] = []
        for person in people:
            if not _has(person, "pose") or not _has(person, "score"):
                raise ValueError(
                    f"{where}: skeleton must have pose and score; got "
                    f"{_description(person)}."
                )
            flat = _joints(where, "pose", person["pose"], layout, 2)
            score = _joints(where, "score", person["score"], layout, 1)
            frames[number].append((None, np.concatenate([flat, score], -1)))
    return frames


def _alphapose(name, content, layout):
    """{number of the frame: persons}, from a list of all persons of all frames."""
    images: dict[str, list[Person]] = {}
    for place, person in enumerate(content):
        where = f"{name}: entry {place}"
        if not _has(person, "keypoints") or not _has(person, "image_id"):
            raise ValueError(
                f"{where}: must have image_id and keypoints; got "
                f"{_description(person)}."
            )
        image, who = person["image_id"], person.get("idx")
        if not isinstance(image, str | int):
            raise ValueError(
                f"{where}: image_id must be a text or a number; got {shortened(image)}."
            )
        joints = _joints(where, "keypoints", person["keypoints"], layout, 3)
        known = who if isinstance(who, int | str) else None
        images.setdefault(_image_name(image), []).append((known, joints))
    return _numbered(images)


def _by_image(name, content, layout):
    images: dict[str, list[Person]] = {}
    for image, frame in content.items():
        where = f"{name}: {shortened(image)}"
        if _has(frame, "people"):
            images[image] = _people(where, frame, layout)
            continue
        if not _has(frame, "bodies") or not isinstance(frame["bodies"], list):
            raise ValueError(
                f"{where}: must have a list bodies; got {_description(frame)}."
            )
        images[image] = []
        for body in frame["bodies"]:
            values = body.get("joints") if isinstance(body, dict) else None
            images[image].append((None, _joints(where, "joints", values, layout, 3)))
    return _numbered(images)


def _image_name(image):
    """A name or number of an image, as text of a bounded length."""
    return image if isinstance(image, str) else str(image % 10**15)


def _numbered(images):
    """Frames by the last number in their images' names, else in their order."""
    matches = [_LAST_NUMBER.search(pathlib.PurePath(name).stem) for name in images]
    numbers = [int(match[1]) for match in matches if match]
    if len(set(numbers)) < len(images):
        numbers = list(range(len(images)))
    return dict(zip(numbers, images.values(), strict=True))


def _joints(where, field, values, layout, width):
    """[V, width] from a flat list of numbers; null is a missing one."""
    count = layout.num_joints * width
    fine = isinstance(values, list) and len(values) == count
    if not fine or not all(v is None or type(v) in (int, float) for v in values):
        got = f"{len(values)} in {shortened(values)}" if isinstance(values, list) \
            else shortened(values)  # fmt: skip
        raise ValueError(
            f"{where}: {field} must be {count} numbers, {width} for each joint of "
            f"layout {layout.name}; got {got}."
        )
    return np.array([_float(v) for v in values]).reshape(-1, width)


def _float(value):
    try:
        return np.nan if value is None else float(value)
    except OverflowError:
        return np.inf


def _has(value, *fields):
    return isinstance(value, dict) and any(field in value for field in fields)


def _description(value):
    if isinstance(value, dict):
        names = ", ".join(shortened(name) for name in list(value)[:10])
        return f"the fields {names or 'none'}"
    return shortened(value)
