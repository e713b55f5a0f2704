"""A run's settings: what a resumed run may change, and what it may not."""

import os
import sys
from collections.abc import Mapping
from typing import Any

import jax

# Fields that change what is logged, kept and how memory is used, not what is computed:
# a resumed run may differ in them. What is not finite stops a run that skips nothing:
# that may be changed, too.
FREE_FIELDS = (
    "log_every", "evaluate_every", "checkpoint_every", "keep_latest", "remat",
    "workers", "skip_nonfinite",
)  # fmt: skip
NUM_STEPS = "train.num_steps"
MOST_DIFFERENCES = 6  # differences; another system's run has a hundred


def check_settings(
    saved: Mapping[str, Any],
    current: Mapping[str, Any],
    folder: str | os.PathLike,
    defaults: Mapping[str, Any] | None = None,
    *,
    extend: bool = False,
) -> dict[str, Any]:
    """Refuses settings that differ from those of a run that goes on.

    Args:
        saved: the run's settings, as nested dicts.
        current: those of this call.
        folder: of the run's checkpoints, for the message.
        defaults: of the fields; where the saved settings lack a field, which there was
            not yet, it counts as its default, and a line says so.
        extend: whether the run may have more steps.

    Returns:
        The saved fields, by names such as train.seed.

    Raises:
        ValueError: names the fields in which they differ.
    """
    before, asked = flattened(saved), flattened(current)
    new = {
        name: value
        for name, value in flattened(defaults or {}).items()
        if name in asked and name not in before
    }
    before |= new
    longer = (asked.get(NUM_STEPS) or 0) - (before.get(NUM_STEPS) or 0)
    if extend and longer < 0:
        raise ValueError(
            f"{NUM_STEPS} must be above the {before[NUM_STEPS]} of {folder} to extend "
            f"it; got {asked[NUM_STEPS]}."
        )
    differences = [
        f"{name} was {before.get(name)!r}, is {asked.get(name)!r}"
        for name in sorted(before.keys() | asked.keys(), key=_outer_first)
        if before.get(name) != asked.get(name)
        and name.split(".")[-1] not in FREE_FIELDS
        and not (extend and name == NUM_STEPS)
    ]
    if len(differences) > MOST_DIFFERENCES:
        differences[MOST_DIFFERENCES:] = [
            f"and {len(differences) - MOST_DIFFERENCES} more"
        ]
    if differences:
        raise ValueError(
            f"{folder} belongs to another run: {'; '.join(differences)}. "
            "Choose another workdir, or the same settings."
            + " To go on to more steps, and nothing else, there is --extend."
            * (longer > 0 and not extend)
        )
    if new and jax.process_index() == 0:
        taken = ", ".join(f"{name}={value!r}" for name, value in new.items())
        print(
            f"{folder} was begun before there were some fields, which count as their "
            f"defaults: {taken}.",
            file=sys.stderr,
        )
    return before


def _outer_first(name):
    return "." in name, name


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by name, {"train.seed": 0, …}; tuples as JSON keeps them.

    Args:
        tree: nested dicts.
        prefix: of the names.
    """
    fields: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            fields |= flattened(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = _listed(value)
    return fields


def _listed(value):
    """Tuples as lists, at every depth."""
    return [*map(_listed, value)] if isinstance(value, list | tuple) else value
