"""A user's own skeleton, from JSON or from a list of edges."""

import dataclasses
import json
import os
import pathlib
from typing import Any

from gpsattn_jax import graphs
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import shortened

_MOST_JOINTS = 10_000
_FIELDS = ("name", "joints", "edges", "root", "mirror", "anchors")


def read_layout(path: str | os.PathLike) -> Layout:
    """A layout from a file.

    Args:
        path: either `.json` with {"edges": [[a, b], …]} and, if wanted, "name",
            "joints" (names in the order of the coordinates), "root", "mirror" ([left,
            right] pairs) and "anchors"; or a text of one edge a line, "a b" or "a, b",
            where # starts a comment. A joint is a number from 0 or a name; names get
            numbers in the order of "joints", in a text in the order of appearance.

    Returns:
        The layout. Without "root" it is the joint of least eccentricity: the one from
        which the farthest joint is fewest bones away.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and the field.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such layout.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be UTF-8 text; got {error}.") from None
    fields = _of_json(path, text) if path.suffix == ".json" else _of_text(path, text)
    return _build(path, fields)


def _of_json(path, text):
    try:
        fields = json.loads(text)
    except RecursionError:
        raise ValueError(f"{path}: must be JSON; got lists too deep.") from None
    except ValueError as error:
        raise ValueError(f"{path}: must be JSON; got {error}.") from None
    if not isinstance(fields, dict) or "edges" not in fields:
        raise ValueError(f'{path}: must be an object with "edges".')
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise ValueError(
            f"{path}: fields must be among {', '.join(_FIELDS)}; "
            f"got {shortened(unknown[0])}."
        )
    return fields


def _of_text(path, text):
    edges = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].replace(",", " ").split()
        if len(words) not in (0, 2) or any(len(word) > 100 for word in words):
            raise ValueError(
                f"{path}: line {number} must be two joints; "
                f"got {shortened(line.strip())}."
            )
        edges += [words] if words else []
    words = [word for edge in edges for word in edge]
    if all(word.isdecimal() for word in words):
        return {"edges": [[int(word) for word in edge] for edge in edges]}
    return {"edges": edges, "joints": list(dict.fromkeys(words))}


def _build(path: pathlib.Path, given: dict[str, Any]) -> Layout:
    """Checks what Layout does not: types, and names for numbers."""
    name = given.get("name", path.stem)
    if not isinstance(name, str):
        raise ValueError(f"{path}: name must be a text; got {shortened(name)}.")
    edges = _pairs(path, "edges", given["edges"])
    joints = given.get("joints")
    if joints is None:
        numbers = [joint for edge in edges for joint in edge if _is_number(joint)]
        # A joint without an edge is an error later, and a far one must not cost much.
        count = min(max(numbers, default=-1) + 1, _MOST_JOINTS)
        joints = [f"joint_{i}" for i in range(count)]
    if not isinstance(joints, list) or not all(isinstance(j, str) for j in joints):
        raise ValueError(
            f"{path}: joints must be a list of names; got {shortened(joints)}."
        )
    if len(joints) > _MOST_JOINTS:
        raise ValueError(
            f"{path}: joints must be at most {_MOST_JOINTS:,}; got {len(joints):,}."
        )
    places = {joint: place for place, joint in enumerate(joints)}

    def number(field, joint):
        if isinstance(joint, str) and joint not in places:
            raise ValueError(f"{path}: {field} must be joints; got {shortened(joint)}.")
        if not isinstance(joint, str) and not _is_number(joint):
            raise ValueError(
                f"{path}: {field} must be a joint's number or name; "
                f"got {shortened(joint)}."
            )
        return places[joint] if isinstance(joint, str) else joint

    def pairs(field, of):
        return tuple((number(field, a), number(field, b)) for a, b in of)

    anchors = given.get("anchors", [])
    if not isinstance(anchors, list):
        raise ValueError(
            f"{path}: anchors must be a list of joints; got {shortened(anchors)}."
        )
    fields = {
        "joints": tuple(joints),
        "edges": pairs("edges", edges),
        "mirror": pairs("mirror", _pairs(path, "mirror", given.get("mirror", []))),
        "anchors": tuple(number("anchors", joint) for joint in anchors),
    }
    try:
        if "root" in given:
            return Layout(name, root=number("root", given["root"]), **fields)
        layout = Layout(name, root=0, **fields)
        neighbours = graphs.neighbours_of(layout.num_joints, layout.edges)
        return dataclasses.replace(layout, root=graphs.middle_of(neighbours))
    except ValueError as error:
        # The layout says its name; the user knows the file.
        text = str(error).removeprefix(f"{name}: ").removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {text}{_hint(edges, len(joints))}") from None


def _hint(edges, count):
    numbers = [joint for edge in edges for joint in edge if _is_number(joint)]
    if numbers and min(numbers) == 1 and max(numbers) >= count - 1:
        return (
            f" Joints count from 0, and these edges name {min(numbers)} to "
            f"{max(numbers)}: if they count from 1, take 1 off each."
        )
    return ""


def _pairs(path, field, pairs):
    fine = isinstance(pairs, list) and all(_is_pair(pair) for pair in pairs)
    if not fine:
        raise ValueError(
            f"{path}: {field} must be a list of pairs; got {_first_wrong(pairs)}."
        )
    return pairs


def _is_number(joint):
    return type(joint) is int


def _first_wrong(pairs):
    """The first that is no pair, or what stands in the place of a list."""
    if not isinstance(pairs, list):
        return shortened(pairs)
    return shortened(next(pair for pair in pairs if not _is_pair(pair)))


def _is_pair(pair):
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(_is_number(joint) or isinstance(joint, str) for joint in pair)
    )
