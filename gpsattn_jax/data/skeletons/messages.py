"""Words of messages: values cut short, and lines that tell what a reader did."""

import sys
from typing import Any

import numpy as np

from gpsattn_jax.reader_errors import shorten

_MOST_LETTERS = 60
_MOST_DIGITS = 40
_DEPTH = 2  # containers within containers that are shown


def shortened(value: Any) -> str:
    """A value from a file as text of a bounded length, whatever it refers to."""
    text = _text(value, _DEPTH)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}…"


def first_of(words: list[str], count: int = 10) -> str:
    """The first of some words and how many follow: for messages."""
    more = len(words) - count
    first = [shorten(word, 200) for word in words[:count]]
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def notice(text: str) -> None:
    """Prints a line on standard error: what a reader found or left out."""
    print(text, file=sys.stderr, flush=True)


def _text(value, depth):
    if isinstance(value, np.ndarray):
        return f"an array {np.shape(value)} of {value.dtype}"
    if type(value) is int and abs(value) >= 10**_MOST_DIGITS:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(value[:_MOST_LETTERS])
    if isinstance(value, list | tuple | dict) and depth:
        brackets = {list: "[]", tuple: "()"}.get(type(value), "{}")
        return f"{brackets[0]}{_contents(value, depth - 1)}{brackets[1]}"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, list | tuple | dict | set | frozenset | bytes | bytearray):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def _contents(values, depth):
    """The first values of a container, as many as a message can show."""
    words: list[str] = []
    items = values.items() if isinstance(values, dict) else values
    for item in items:
        if sum(map(len, words)) > _MOST_LETTERS:
            break
        if isinstance(values, dict):
            words.append(f"{_text(item[0], depth)}: {_text(item[1], depth)}")
        else:
            words.append(_text(item, depth))
    return ", ".join(words)
