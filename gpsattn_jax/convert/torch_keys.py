"""The renaming engine: foreign names -> our paths, and one report of what is off."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.stacks import stack


class ConversionError(ValueError):
    """Weights and network do not fit.

    Args:
        complaints: a line for every key that is off; the message lists them.
        where: the file they come from, if they do.
        names: of the weights, if they say more than the complaints.
    """

    def __init__(
        self, complaints: Sequence[str], where: str = "", names: str = ""
    ) -> None:
        self.complaints = list(complaints)
        lines = "\n  ".join(complaints)
        begin = f"{where}: the weights" if where else "The weights"
        named = f", {names}," if names else ""
        super().__init__(f"{begin}{named} do not fit the network:\n  {lines}")


@dataclasses.dataclass(frozen=True)
class Rule:
    """One row of a renaming table.

    Attributes:
        name: the foreign name.
        path: our path; None drops the entry.
        change: foreign array -> ours.
        back: our array -> theirs, where a table is used in both directions.
        axis: of their array; what one entry of theirs was cut into is joined along it.
    """

    name: str
    path: str | None
    change: Callable[[np.ndarray], np.ndarray] = np.asarray
    back: Callable[[np.ndarray], np.ndarray] = np.asarray
    axis: int = 0


def rename(
    arrays: dict[str, np.ndarray], rules: Sequence[Rule]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Applies every rule that matches a name, so that one entry may fill several paths.

    Returns:
        (arrays by our paths, complaints: names that no rule knows, shapes that cannot
        be changed).
    """
    renamed, complaints = {}, []
    by_name: dict[str, list[Rule]] = {}
    for rule in rules:
        by_name.setdefault(rule.name, []).append(rule)
    for name, array in arrays.items():
        if name not in by_name:
            complaints.append(f"unmatched: {name} {array.shape}")
        for rule in by_name.get(name, ()):
            if rule.path is None:
                continue
            try:
                renamed[rule.path] = rule.change(array)
            except (ValueError, IndexError) as error:
                complaints.append(f"misshapen: {name} {array.shape}: {error}")
                break
    return renamed, complaints


def is_ours(arrays: dict[str, Any]) -> bool:
    """Whether the names are those that `save` writes."""
    return bool(arrays) and all(
        name.startswith(("params/", "state/")) for name in arrays
    )


def foreign_names(rules: Sequence[Rule]) -> dict[str, str]:
    """The foreign name that fills each of our paths."""
    return {rule.path: rule.name for rule in rules if rule.path is not None}


def fill(
    network: Functional,
    arrays: dict[str, np.ndarray],
    complaints: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> tuple[dict, dict]:
    """Arrays by path -> (params, state) of the network.

    Args:
        network: what to fill.
        arrays: by our paths.
        complaints: of the renaming; what they name is not reported again.
        names: the foreign name for each of our paths.

    Raises:
        ConversionError: lists `complaints` and what is unmatched, missing, misshapen.
    """
    import jax

    params, state = network.shapes()
    expected = {"params": params, "state": state}
    wanted, complaints = flatten(expected), list(complaints)
    reported = {complaint.split()[1] for complaint in complaints}
    names = {} if names is None else names

    def both(path):
        return f"{names[path]} -> {path}" if path in names else path

    for path in sorted(set(arrays) - set(wanted)):
        complaints.append(f"unmatched: {both(path)} {arrays[path].shape}")
    for path, leaf in wanted.items():
        name = names.get(path, path)
        if name in reported:  # one entry of theirs may fill several of ours
            continue
        if path not in arrays:
            complaints.append(f"missing: {both(path)} {leaf.shape}")
        elif arrays[path].shape != leaf.shape:
            complaints.append(
                f"misshapen: {both(path)} must be {leaf.shape}; "
                f"got {arrays[path].shape}"
            )
        else:
            continue
        reported.add(name)
    if complaints:
        raise ConversionError(complaints)
    typed = {path: np.asarray(arrays[path], wanted[path].dtype) for path in wanted}
    filled = stack(typed, expected, lambda blocks, _: np.stack(blocks))
    filled = jax.tree.map(jax.numpy.asarray, filled)
    return filled["params"], filled["state"]
