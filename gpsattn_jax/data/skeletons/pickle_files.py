"""Pickles of skeletons: the one door to the restricted unpickler."""

import os
from typing import Any

from gpsattn_jax.data.files.pickles import read_pickle


def load_pickle(path: str | os.PathLike) -> Any:
    """What a pickle of arrays and plain containers holds; nothing in it is run.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it.
    """
    return read_pickle(path)


def whole_number(value: Any, most: int) -> int | None:
    """A whole number from 0 to `most`, alone or as an array of one; else None."""
    if getattr(value, "size", None) == 1 and value.dtype.kind in "iu":
        value = value.item()
    fine = isinstance(value, int) and not isinstance(value, bool)
    return value if fine and 0 <= value <= most else None
