"""NumPy's own files, of plain arrays alone; what is wrong with one is told by name."""

import os
import tokenize
import zipfile
import zlib

import numpy as np

# What another file, a part of one, or one with objects in it raises.
_UNREADABLE = (
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

_ALWAYS, _MOST_RATIO = 64 * 2**20, 200  # bytes that may unpack; times the stored ones


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """The array of an `.npy` file.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is no such file, or that holds objects.
    """
    (array,) = _read(path, None).values()
    return array


def read_npz(path: str | os.PathLike, *names: str) -> dict[str, np.ndarray]:
    """Arrays of an `.npz` file: those that are named, or all.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is no such file, that holds objects, or that
            lacks an array.
    """
    return _read(path, names)


def npz_names(path: str | os.PathLike) -> tuple[str, ...]:
    """The names of the arrays in an `.npz` file, none of which is read.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        with zipfile.ZipFile(path) as stored:
            return tuple(name.removesuffix(".npy") for name in stored.namelist())
    except _UNREADABLE as error:
        raise ValueError(f"{path}: must be arrays of NumPy; got {error}.") from None


def _check_size(path, names):
    """Refuses members that unpack to far more than they are, as zeros do by design."""
    with zipfile.ZipFile(path) as stored:
        for member in stored.infolist():
            wanted = not names or member.filename.removesuffix(".npy") in names
            most = max(_ALWAYS, _MOST_RATIO * member.compress_size)
            if wanted and member.file_size > most:
                raise ValueError(
                    f"{member.filename} that unpacks from {member.compress_size:,} to "
                    f"{member.file_size:,} bytes"
                )


def _read(path, names):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        if names is not None and zipfile.is_zipfile(path):
            _check_size(path, names)
        stored = np.load(path, allow_pickle=False)
        if (names is None) != isinstance(stored, np.ndarray):
            raise ValueError("another kind of file")
        if names is None:
            return {"": stored}
        with stored:
            wanted = [n for n in stored.files if n in names or not names]
            arrays = {name: stored[name] for name in wanted}
    except _UNREADABLE as error:
        why = str(error).rstrip(".")
        if "allow_pickle" in why:  # NumPy's advice is to read it unsafely
            why = "no such file, or one of pickled objects, which are not read"
        raise ValueError(f"{path}: must be arrays of NumPy; got {why}.") from None
    for name in names:
        if name not in arrays:
            raise ValueError(f"{path}: must have the array {name}.")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{path}: must be arrays of NumPy; got the file {name}.")
    return arrays
