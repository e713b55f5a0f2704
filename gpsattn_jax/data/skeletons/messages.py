"""Words of messages: values cut short, and lines that tell what a reader did."""

import sys
from typing import Any

import numpy as np

_MOST_LETTERS = 60
_MOST_DIGITS = 40


def shortened(value: Any) -> str:
    """A value from a file as text of a bounded length, whatever it refers to."""
    if isinstance(value, np.ndarray):
        return f"an array {np.shape(value)} of {value.dtype}"
    if type(value) is int and abs(value) >= 10**_MOST_DIGITS:
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        text = repr(value[: _MOST_LETTERS + 1])
        return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}…"
    if isinstance(value, list | tuple):
        return _listed(value)
    if isinstance(value, dict | set | frozenset | bytes | bytearray):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def first_of(words: list[str], count: int = 10) -> str:
    """The first of some words and how many follow: for messages."""
    more = len(words) - count
    return ", ".join(words[:count]) + (f" and {more} more" if more > 0 else "")


def notice(text: str) -> None:
    """Prints a line on standard error: what a reader found or left out."""
    print(text, file=sys.stderr, flush=True)


def _listed(values):
    """Lists of plain values with their content, deeper ones by their length."""
    plain = all(v is None or isinstance(v, bool | int | float | str) for v in values)
    if plain and len(values) <= _MOST_LETTERS:
        text = f"[{', '.join(shortened(v) for v in values)}]"
        if len(text) <= _MOST_LETTERS:
            return text
    return f"a {type(values).__name__} of {len(values)}"
