"""A user's own skeleton, from JSON or from a list of edges."""

import dataclasses
import json
import os
import pathlib
from typing import Any

from gpsattn_jax import graphs
from gpsattn_jax.data.skeletons.layout import Layout

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
    told = _of_json(path, text) if path.suffix == ".json" else _of_text(path, text)
    return _build(path, told)


def _of_json(path, text):
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: must be JSON; got {error}.") from None
    if not isinstance(told, dict) or "edges" not in told:
        raise ValueError(f'{path}: must be an object with "edges".')
    unknown = sorted(set(told) - set(_FIELDS))
    if unknown:
        raise ValueError(
            f"{path}: fields must be among {', '.join(_FIELDS)}; got {unknown[0]!r}."
        )
    return told


def _of_text(path, text):
    edges = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].replace(",", " ").split()
        if len(words) not in (0, 2):
            raise ValueError(
                f"{path}: line {number} must be two joints; got {line.strip()!r}."
            )
        edges += [words] if words else []
    words = [word for edge in edges for word in edge]
    if all(word.isdecimal() for word in words):
        return {"edges": [[int(word) for word in edge] for edge in edges]}
    return {"edges": edges, "joints": list(dict.fromkeys(words))}


def _build(path: pathlib.Path, told: dict[str, Any]) -> Layout:
    """Checks what Layout does not: types, and names for numbers."""
    name = told.get("name", path.stem)
    if not isinstance(name, str):
        raise ValueError(f"{path}: name must be a text; got {name!r}.")
    edges = _pairs(path, "edges", told["edges"])
    joints = told.get("joints")
    if joints is None:
        numbers = [joint for edge in edges for joint in edge if _is_number(joint)]
        # A joint without an edge is an error later, and a far one must not cost much.
        joints = [
            f"joint_{i}" for i in range(min(max(numbers, default=-1) + 1, 10_000))
        ]
    if not isinstance(joints, list) or not all(isinstance(j, str) for j in joints):
        raise ValueError(f"{path}: joints must be a list of names; got {joints!r}.")
    places = {joint: place for place, joint in enumerate(joints)}

    def numbered(field, joint):
        if isinstance(joint, str) and joint not in places:
            raise ValueError(f"{path}: {field} must be joints; got {joint!r}.")
        return places[joint] if isinstance(joint, str) else joint

    def paired(field, pairs):
        return tuple((numbered(field, a), numbered(field, b)) for a, b in pairs)

    anchors = told.get("anchors", [])
    if not isinstance(anchors, list):
        raise ValueError(f"{path}: anchors must be a list of joints; got {anchors!r}.")
    fields = {
        "joints": tuple(joints),
        "edges": paired("edges", edges),
        "mirror": paired("mirror", _pairs(path, "mirror", told.get("mirror", []))),
        "anchors": tuple(numbered("anchors", joint) for joint in anchors),
    }
    try:
        if "root" in told:
            return Layout(name, root=numbered("root", told["root"]), **fields)
        layout = Layout(name, root=0, **fields)
        neighbours = graphs.neighbours_of(layout.num_joints, layout.edges)
        return dataclasses.replace(layout, root=graphs.middle_of(neighbours))
    except ValueError as error:
        # The layout told its name; the user knows the file.
        raise ValueError(f"{path}: {str(error).removeprefix(name + ': ')}") from None


def _pairs(path, field, pairs):
    fine = isinstance(pairs, list) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and all(_is_number(joint) or isinstance(joint, str) for joint in pair)
        for pair in pairs
    )
    if not fine:
        raise ValueError(f"{path}: {field} must be a list of pairs; got {pairs!r}.")
    return pairs


def _is_number(joint):
    return type(joint) is int
