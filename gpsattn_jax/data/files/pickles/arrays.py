"""The names that NumPy's arrays have in pickles, and what a file gets for each."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from gpsattn_jax.data.files.pickles.parts import Builder, Pending, check

_NUMBER_OR_TEXT = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[SU][0-9]{1,6})")
_MOST_AXES = 32


def array_builders(size: int) -> dict[str, Builder]:
    """What arrays of numbers and texts, and the bytes in them, need by name.

    Args:
        size: of the file: its arrays together are no larger, nor are its texts.
    """
    arrays, texts = _Room(size), _Room(size)

    def encode(text, coding):
        known = coding == "latin1" and isinstance(text, str)
        check(known, "it encodes what is no text of bytes")
        texts.take(len(text))
        return text.encode("latin1")

    functions: dict[str, Callable[..., Any]] = {
        "numpy.ndarray": _nothing,  # named to say of what kind an array is
        "numpy.dtype": _dtype,
        "numpy.core.multiarray._reconstruct": lambda *start: Pending(arrays.fill),
        "numpy.core.multiarray.scalar": arrays.scalar,
        "numpy.core.numeric._frombuffer": arrays.view,
        "_codecs.encode": encode,
        "__builtin__.bytes": bytes_of_nothing,
        "builtins.bytes": bytes_of_nothing,
    }
    return {name: Builder(function) for name, function in functions.items()}


class _Room:
    """Bytes that may still be made: copies of one text must not fill the memory."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size

    def take(self, count: int) -> None:
        self._left -= count
        check(self._left >= 0, "its arrays together must be no larger than the file")

    def view(self, raw: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
        """The array of these bytes, which it does not copy."""
        counts = isinstance(shape, tuple) and len(shape) <= _MOST_AXES
        counts = counts and all(type(n) is int and 0 <= n <= 2**48 for n in shape)
        known = counts and isinstance(dtype, np.dtype)
        check(known, "it has an array without a shape or a type")
        # Without a byte, an array of nothing or of empty texts could have long axes.
        largest = max(math.prod(shape), *shape) if shape else 1
        needed = math.prod(shape) * dtype.itemsize
        raw = raw.encode("latin1") if isinstance(raw, str) else raw  # of Python 2
        fits = isinstance(raw, bytes) and len(raw) == needed and largest <= self._size
        check(fits, f"its array of shape {shape} must have {needed} bytes")
        self.take(needed)
        return np.ndarray(shape, dtype, raw, order="F" if order == "F" else "C")

    def fill(self, state: Any) -> np.ndarray:
        _, shape, dtype, by_columns, raw = state
        return self.view(raw, dtype, shape, "F" if by_columns else "C")

    def scalar(self, dtype: Any, raw: Any) -> Any:
        return self.view(raw, dtype, ()).item()


def _dtype(name, *flags):
    known = isinstance(name, str) and _NUMBER_OR_TEXT.fullmatch(name)
    check(bool(known), f"its arrays must be numbers or texts; got {name!r:.60}")

    def ordered(state):
        _, order, *structure = state[:5]
        plain = order in ("<", ">", "|", "=") and structure == [None] * 3
        check(plain, "its arrays must be numbers or texts")
        return np.dtype(name).newbyteorder(order)

    return Pending(ordered)


def _nothing(*shape):
    raise ValueError("it makes an array of nothing")


def bytes_of_nothing() -> bytes:
    """What Python 3 writes for b"" in a protocol of Python 2."""
    return b""
