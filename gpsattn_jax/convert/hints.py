"""What an error says of missing names: the likeliest of the file beside each."""

import difflib
import os
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.convert.contents import names_of

MOST_HINTS = 20  # comparing names takes time
ALIKE = 0.6


def unmatched_names(
    complaints: Sequence[str], arrays: dict[str, np.ndarray]
) -> list[str]:
    """The file's names that complaints say no rule knows."""
    found = [
        line.removeprefix("unmatched: ").rsplit(" (", 1)[0].split(" -> ")[0]
        for line in complaints
        if line.startswith("unmatched: ")
    ]
    return [name for name in found if name in arrays]


def with_names_of_the_file(
    complaints: Sequence[str], arrays: dict[str, np.ndarray]
) -> list[str]:
    """The complaints, where each missing name has the likeliest of the file beside it.

    Args:
        complaints: as `ConversionError` has them.
        arrays: by the file's names.
    """
    free = unmatched_names(complaints, arrays)
    if not free and arrays and not any(" -> " in line for line in complaints):
        # It is not even known which network this is.
        names = names_of(sorted(arrays))
        return [*complaints[:-1], f"{complaints[-1]}; the file has {names}"]
    lines, hints = [], 0
    for line in complaints:
        guess = None
        if free and line.startswith("missing: ") and hints < MOST_HINTS:
            hints += 1
            guess = _likeliest(line.split()[1], free)
        shape = "" if guess is None else arrays[guess].shape
        lines.append(line if guess is None else f"{line}; the file has {guess} {shape}")
    return lines


def _likeliest(name: str, free: list[str]) -> str | None:
    """The name most like it, if both end in the same part, such as `weight`."""
    ending = os.path.splitext(name)[1]
    ends = [other for other in free if os.path.splitext(other)[1] == ending]
    return next(iter(difflib.get_close_matches(name, ends, 1, ALIKE)), None)
