"""Arrays of alike blocks, held as one: `blocks/1-3/norm/scale` holds blocks 1, 2 and 3.

Such a leaf has the blocks along its first axis. Everything else goes by block: names in
files, layers, frozen prefixes, what an array's shape says. Plain trees; no room.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

_NUMBERS = re.compile(r"(?:^|(?<=/))(\d+)-(\d+)(?=/)")


def stack_name(numbers: range) -> str:
    """The name of the blocks with these numbers, one after the other: "1-3"."""
    return f"{numbers[0]}-{numbers[-1]}"


def path_name(path: Any) -> str:
    """A path in a tree as blocks/1-3/mix/query/kernel."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def block_names(name: str) -> list[str] | None:
    """Names of blocks: "blocks/1-2/bias" -> ["blocks/1/bias", "blocks/2/bias"].

    None for an array that is no stack.
    """
    match = _NUMBERS.search(name)
    if match is None:
        return None
    numbers = range(int(match[1]), int(match[2]) + 1)
    return [f"{name[: match.start()]}{n}{name[match.end() :]}" for n in numbers]


def has_stacks(tree: Any) -> bool:
    """Whether any array of a tree is a stack of blocks."""
    return any(block_names(name) is not None for name in by_name(tree))


def by_block(rule: Callable[[str], Any], name: str) -> list[Any]:
    """What a rule says about each block of an array, or about the array."""
    return [rule(block) for block in block_names(name) or [name]]


def along_stack(name: str, array: Any) -> list[tuple[str, Any]]:
    """(name, array) of each block of a stack, or of the array itself."""
    names = block_names(name)
    return [(name, array)] if names is None else [*zip(names, array, strict=True)]


def shape_of_block(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without the blocks' axis, if the array is a stack."""
    return shape if block_names(name) is None else shape[1:]


def unstack(tree: Any, row: Callable[[Any, int], Any] | None = None) -> Any:
    """A tree with a leaf for each block: {"1-2": …} becomes {1: …, 2: …}.

    Arrays come to the host.

    Args:
        tree: of arrays, or of shapes; dicts inside other containers, too.
        row: (leaf, i) -> its i-th block; by default `leaf[i]`, or its shape.
    """
    row = _row if row is None else row

    def unstack_dict(node):
        if not isinstance(node, dict):
            return node
        found = {}
        for key, value in node.items():
            inner = unstack(value, row)
            for place, number in enumerate(_numbers(key)):
                found[number] = jax.tree.map(lambda leaf, i=place: row(leaf, i), inner)
            if not _numbers(key):
                found[key] = inner
        return found

    return jax.tree.map(unstack_dict, tree, is_leaf=lambda node: isinstance(node, dict))


def stack(
    blocks: Mapping[str, Any], like: Any, join: Callable[[list[Any], Any], Any]
) -> Any:
    """A tree of stacks from arrays by the names of `block_names`.

    Args:
        blocks: array by name, for every block of every leaf.
        like: a tree of what has such leaves.
        join: (arrays of the blocks, leaf of `like`) -> the stack.
    """

    def leaf(path, wanted):
        name = path_name(path)
        names = block_names(name)
        if names is None:
            return blocks[name]
        return join([blocks[block] for block in names], wanted)

    return jax.tree_util.tree_map_with_path(leaf, like)


def by_name(tree: Any) -> dict[str, Any]:
    """Leaves by path: {"params/blocks/1-3/norm/scale": …}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {path_name(path): leaf for path, leaf in leaves}


def _numbers(key):
    match = re.fullmatch(r"(\d+)-(\d+)", str(key))
    return range(int(match[1]), int(match[2]) + 1) if match else range(0)


def _row(leaf, place):
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
    if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
        leaf = np.asarray(leaf)  # on the host nothing is compiled to cut it
    return leaf[place]
