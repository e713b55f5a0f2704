"""NumPy's own files, of plain arrays alone; what is wrong with one is told by name."""

import os
import zipfile
import zlib

import numpy as np

# What another file, a part of one, or one with objects in it raises.
_UNREADABLE = (
    EOFError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


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


def _read(path, names):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file.")
    try:
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
