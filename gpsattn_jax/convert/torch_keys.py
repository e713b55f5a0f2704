"""The renaming engine: foreign names -> our paths, and one report of what is off."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.modules.functional import Functional


class ConversionError(ValueError):
    """Weights and network do not fit; the message lists every key that is off."""


@dataclasses.dataclass(frozen=True)
class Rule:
    r"""One row of a renaming table.

    Attributes:
        name: regular expression for the whole foreign name.
        path: our path, with the groups of `name` (`\1`); None drops the entry.
        change: foreign array -> ours.
    """

    name: str
    path: str | None
    change: Callable[[np.ndarray], np.ndarray] = np.asarray


def rename(
    arrays: dict[str, np.ndarray], rules: Sequence[Rule]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Applies every rule that matches a name, so that one entry may fill several paths.

    Returns:
        (arrays by our paths, complaints: names that no rule knows, shapes that cannot
        be changed).
    """
    renamed, complaints = {}, []
    for name, array in arrays.items():
        matches = [
            (rule, match) for rule in rules if (match := re.fullmatch(rule.name, name))
        ]
        if not matches:
            complaints.append(f"unmatched: {name} {array.shape}")
        for rule, match in matches:
            if rule.path is None:
                continue
            try:
                renamed[match.expand(rule.path)] = rule.change(array)
            except (ValueError, IndexError) as error:
                complaints.append(f"misshapen: {name} {array.shape}: {error}")
                break
    return renamed, complaints


def is_ours(arrays: dict[str, Any]) -> bool:
    """Whether the names are those that `save` writes."""
    return bool(arrays) and all(
        name.startswith(("params/", "state/")) for name in arrays
    )


def fill(
    network: Functional, arrays: dict[str, np.ndarray], complaints: Sequence[str] = ()
) -> tuple[dict, dict]:
    """Arrays by path -> (params, state) of the network.

    Raises:
        ConversionError: lists `complaints` and what is unmatched, missing, misshapen.
    """
    import jax

    params, state = network.shapes()
    expected = {"params": params, "state": state}
    wanted, complaints = flatten(expected), list(complaints)
    for path in sorted(set(arrays) - set(wanted)):
        complaints.append(f"unmatched: {path} {arrays[path].shape}")
    for path, leaf in wanted.items():
        if path not in arrays:
            complaints.append(f"missing: {path} {leaf.shape}")
        elif arrays[path].shape != leaf.shape:
            complaints.append(
                f"misshapen: {path} must be {leaf.shape}; got {arrays[path].shape}"
            )
    if complaints:
        lines = "\n  ".join(complaints)
        raise ConversionError(f"The weights do not fit the network:\n  {lines}")
    leaves = [np.asarray(arrays[path], leaf.dtype) for path, leaf in wanted.items()]
    filled = jax.tree.unflatten(jax.tree.structure(expected), leaves)
    filled = jax.tree.map(jax.numpy.asarray, filled)
    return filled["params"], filled["state"]
