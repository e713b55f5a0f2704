"""Pickles of NumPy arrays and plain containers, read without running what is in them.

A pickle is a program: it names functions and calls them. Here every name that NumPy's
arrays need is answered by a small builder of our own, every other name is refused, and
the program is looked through before it runs.
"""

import io
import math
import os
import pathlib
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from gpsattn_jax.data.files.pickle_check import check_program

_NUMBER_OR_TEXT = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[SU][0-9]{1,6})")
_MOST_AXES = 32
# What nonsense in a pickle raises.
_UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


def read_pickle(path: str | os.PathLike) -> Any:
    """What a pickle holds: dicts, lists, tuples, texts, numbers, NumPy arrays.

    Args:
        path: of a file of any protocol, written with NumPy 1 or 2; it is read whole.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it, such as the global that
            it wants and that might run code.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such pickle.")
    content = path.read_bytes()
    try:
        check_program(content)
        return _Unpickler(content).load()
    except _UNREADABLE as error:
        told = isinstance(error, ValueError) and str(error)
        reason = told or f"it is damaged ({type(error).__name__})"
        raise ValueError(
            f"{path}: must be a pickle of arrays and containers alone; {reason}"
        ) from None


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._builders = _builders(len(content))

    def find_class(self, module, name):
        known = module.replace("numpy._core", "numpy.core"), name
        if known not in self._builders:
            raise ValueError(f"it wants {module}.{name}, which might run code.")
        return self._builders[known]


class _Builder:
    """What a file gets for a name: it can be called, and nothing else."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("it changes a function.")


class _Dtype:
    """A type of numbers or texts; the file gives its byte order later."""

    __slots__ = ("value",)

    def __init__(self, name: Any, *flags: Any) -> None:
        if not isinstance(name, str) or not _NUMBER_OR_TEXT.fullmatch(name):
            raise ValueError(f"its arrays must be numbers or texts; got {name!r}.")
        self.value = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        _, order, *structure = state[:5]
        if order not in ("<", ">", "|", "=") or structure != [None] * 3:
            raise ValueError("its arrays must be numbers or texts.")
        self.value = self.value.newbyteorder(order)


class _Array(np.ndarray):
    """An array whose content comes later."""

    room: "_Room"

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, raw = state
        self.room.check(shape, dtype, raw)
        whole: Any = (1, shape, dtype.value, bool(by_columns), bytes(raw))
        super().__setstate__(whole)


class _Room:
    """Bytes that may still be made: copies of one text must not fill the memory."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, count):
        self._left -= count
        if self._left < 0:
            raise ValueError("its arrays together must be no larger than the file.")

    def check(self, shape, dtype, raw):
        counts = isinstance(shape, tuple) and len(shape) <= _MOST_AXES
        counts = counts and all(type(n) is int and n >= 0 for n in shape)
        if not counts or not isinstance(dtype, _Dtype):
            raise ValueError("it has an array without a shape or a type.")
        needed = math.prod(shape) * dtype.value.itemsize
        if not isinstance(raw, bytes | bytearray) or len(raw) != needed:
            raise ValueError(f"its array of shape {shape} must have {needed} bytes.")
        self.take(needed)

    def empty(self, kind, *start):
        array = np.zeros(0, np.int8).view(_Array)
        array.room = self
        return array

    def filled(self, raw, dtype, shape, order):
        self.check(shape, dtype, raw)
        return np.ndarray(shape, dtype.value, raw, order="F" if order == "F" else "C")

    def scalar(self, dtype, raw):
        self.check((), dtype, raw)
        return np.ndarray((), dtype.value, raw).item()


def _builders(size: int) -> dict[tuple[str, str], Callable[..., Any]]:
    """What a file of some size may name, and what it gets."""
    arrays, texts = _Room(size), _Room(size)

    def encode(text, coding):
        if coding != "latin1" or not isinstance(text, str):
            raise ValueError("it encodes what is no text of bytes.")
        texts.take(len(text))
        return text.encode("latin1")

    functions: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): _nothing,  # named to say of what kind an array is
        ("numpy", "dtype"): _Dtype,
        ("numpy.core.multiarray", "_reconstruct"): arrays.empty,
        ("numpy.core.multiarray", "scalar"): arrays.scalar,
        ("numpy.core.numeric", "_frombuffer"): arrays.filled,
        ("_codecs", "encode"): encode,
        ("__builtin__", "bytes"): _no_bytes,
        ("builtins", "bytes"): _no_bytes,
    }
    return {name: _Builder(function) for name, function in functions.items()}


def _nothing(*shape):
    raise ValueError("it makes an array of nothing.")


def _no_bytes():
    return b""
