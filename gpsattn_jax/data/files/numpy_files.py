"""NumPy's own files, of plain arrays alone; a damaged one is named, and its array."""

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from gpsattn_jax.reader_errors import open_regular, readable

# An array may unpack to this many bytes, or to so many times the bytes that it takes in
# the file: zeros pack a thousandfold, and a small file of them fills the memory.
UNPACKED_ALWAYS, MOST_RATIO = 64 * 2**20, 200
_OBJECTS = "no such file, or one of pickled objects, which are not read"


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """The array of an `.npy` file.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is no such file, or that holds objects.
    """
    _check_there(path)
    with _naming(path), open_regular(path) as file:
        return _array(file, os.fstat(file.fileno()).st_size)


def read_npz(path: str | os.PathLike, *names: str) -> dict[str, np.ndarray]:
    """Arrays of an `.npz` file: those that are named, or all.

    Args:
        path: the file.
        *names: the arrays to be read; others may be damaged.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is no such file, or that lacks an array; and the
            array that is damaged, that holds objects, or that a small file blows up.
    """
    _check_there(path)
    with contextlib.ExitStack() as stack:
        with _naming(path):
            archive = stack.enter_context(_archive(path))
            members = archive.namelist()
        arrays = {}
        for member in members:
            name = member.removesuffix(".npy")
            if names and name not in names:
                continue
            if name == member:
                raise ValueError(
                    f"{path}: must be arrays of NumPy; got the file {name}."
                )
            with _naming(path, f"array {name}: "):
                arrays[name] = _unpack(archive, member)
    for name in names:
        if name not in arrays:
            raise ValueError(f"{path}: must have the array {name}.")
    return arrays


def npz_names(path: str | os.PathLike) -> tuple[str, ...]:
    """The names of the arrays in an `.npz` file, none of which is read.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is no such file.
    """
    _check_there(path)
    with _naming(path), _archive(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


def _check_there(path):
    if not os.path.exists(path) or os.path.isdir(path):
        raise FileNotFoundError(f"{path}: no such file.")


@contextlib.contextmanager
def _naming(path: str | os.PathLike, where: str = "") -> Iterator[None]:
    with readable(path, wanted=f"{where}must be arrays of NumPy"):
        yield


@contextlib.contextmanager
def _archive(path: str | os.PathLike) -> Iterator[zipfile.ZipFile]:
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _unpack(archive, member):
    """One array, unless it would take far more memory than its part of the file."""
    entry = archive.getinfo(member)
    most = max(UNPACKED_ALWAYS, MOST_RATIO * entry.compress_size)
    if entry.file_size > most:
        raise ValueError(
            f"{entry.compress_size:,} bytes that unpack to {entry.file_size:,}"
        )
    with archive.open(entry) as file:
        return _array(file, entry.file_size)


def _array(file: BinaryIO, size: int) -> np.ndarray:
    """An array, after a look at how large it says it is."""
    start = file.read(6)
    if start != np.lib.format.MAGIC_PREFIX:
        raise ValueError(_OBJECTS)
    file.seek(0)
    _check_length(file, size)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _check_length(file, size):
    version = np.lib.format.read_magic(file)
    # Version 3.0 has names of fields in UTF-8: no array of plain numbers needs them.
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError(_OBJECTS)
    wanted = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or wanted > size:
        raise ValueError(f"{size:,} bytes for an array {shape} of {dtype}")
