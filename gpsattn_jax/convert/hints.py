"""What an error says of missing names: the likeliest of the file beside each."""

import difflib
import re
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.convert.contents import names_of
from gpsattn_jax.convert.torch_keys import ConversionError

MOST_HINTS = 20  # comparing names takes time
ALIKE = 0.75


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
    error: ConversionError, arrays: dict[str, np.ndarray], where: str
) -> ConversionError:
    """The same error with names of the file, where it may have others for the missing.

    Args:
        error: as the loaders raise it.
        arrays: by the file's names.
        where: the file, or "" for a mapping.

    Returns:
        An error whose missing names have the likeliest of the file's beside them; its
        first line lists the file's names if it is not known what network they are of.
    """
    free = unmatched_names(error.complaints, arrays)
    lines, hints = [], 0
    for line in error.complaints:
        guess = None
        if free and line.startswith("missing: ") and hints < MOST_HINTS:
            hints += 1
            guess = _likeliest(line.split()[1], free)
        shape = "" if guess is None else arrays[guess].shape
        lines.append(line if guess is None else f"{line}; the file has {guess} {shape}")
    plain = [line.startswith("missing: ") and " -> " not in line for line in lines]
    names = names_of(sorted(arrays)) if arrays and all(plain) else ""
    return ConversionError(lines, where, names)


def _likeliest(name, free):
    """The name most like it, if both end in the same part, such as `weight`."""
    ends = [other for other in free if _last(other) == _last(name)]
    return next(iter(difflib.get_close_matches(name, ends, 1, ALIKE)), None)


def _last(name):
    return re.split("[./]", name)[-1]
