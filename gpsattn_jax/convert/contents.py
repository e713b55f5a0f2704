"""What is in a file of weights, by its first bytes; the arrays of each kind of file."""

import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors

from gpsattn_jax.convert.torch_pickle import ADVICE, read_torch_pickle
from gpsattn_jax.data.files.numpy_files import read_npz
from gpsattn_jax.data.files.pickles import Inert
from gpsattn_jax.reader_errors import readable

SUFFIXES = (".pth", ".pt", ".pkl", ".tar", ".bin", ".ckpt", ".npz", ".safetensors")

# Where training scripts put the weights among epoch, optimizer and arguments. Averaged
# weights come first: they are what such scripts evaluate.
CONTAINERS = ("state_dict_ema", "state_dict", "model_state_dict", "model", "module")

# First bytes of what is no file of weights -> what it is, and what to do.
_OTHERS = {
    b"version https://git-lfs": "a Git-LFS pointer, which stands for the file; "
    "fetch it with git lfs pull",
    b"<!doctype html": "an HTML page, not what the address promises; it may want a "
    "login or another address",
    b"<html": "an HTML page, not what the address promises; it may want a login or "
    "another address",
    b"<?xml": "an XML document, such as a server's error",
    b"\x89hdf": "an HDF5 file, such as Keras writes",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"bzh": "a bzip2 archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
}
_MOST_NAMES = 5  # of those that are left out, in a message


def read_contents(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Arrays by name, and the metadata that a safetensors file has.

    Raises:
        ValueError: names the file and what it is instead, or which entry is off.
    """
    kind = _kind(path)
    if kind == "torch":
        return _read_torch(path), {}
    if kind == "npz":
        return read_npz(path), {}
    with readable(path, "safetensors file"):
        return _read_safetensors(path)


def _kind(path):
    """By the first bytes; by the suffix where they say nothing."""
    with open(path, "rb") as file:
        head = file.read(512)
    start = head.lstrip().lower()
    what = next(
        (what for first, what in _OTHERS.items() if start.startswith(first)), ""
    )
    if head[257:262] == b"ustar":
        what = "a tar archive; unpack it first"
    if what:
        raise ValueError(f"{path}: must be a file of weights; it is {what}.")
    if head.startswith(b"PK\x03\x04"):
        return "npz" if _holds_arrays(path) else "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "torch"  # a pickle of that protocol
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path}: must be a file of weights, such as {', '.join(SUFFIXES)}; "
            f"got {path.suffix!r}."
        )
    return {".npz": "npz", ".safetensors": "safetensors"}.get(path.suffix, "torch")


def _holds_arrays(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except Exception:  # it is cut: its suffix may tell what it was
        return path.suffix == ".npz"


def _read_safetensors(path):
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
        names = list(file.keys())
        return {name: _tensor(file, name) for name in names}, metadata


def _tensor(file, name):
    try:
        return file.get_tensor(name)
    except Exception as error:
        kind = file.get_slice(name).get_dtype()
        if isinstance(error, MemoryError):
            raise
        raise ValueError(
            f"{name} must be of floating point numbers of 16 bits and more, integers "
            f"or booleans; got {kind}; convert it first"
        ) from None


def _read_torch(path):
    content = read_torch_pickle(path)
    while isinstance(content, Mapping):
        inner = next(
            (key for key in CONTAINERS if isinstance(content.get(key), Mapping)), None
        )
        if inner is None:
            return _arrays_alone(path, content)
        content = content[inner]
    whole = isinstance(content, Inert)
    got = f"an object of {content.name}" if whole else type(content).__name__
    advice = f" {ADVICE}" if whole else ""
    raise ValueError(f"{path}: must hold a state dict; got {got}.{advice}")


def _arrays_alone(path, content):
    """Without the epoch, options and other things that stand beside the weights."""
    arrays = {str(name): entry for name, entry in content.items() if is_numbers(entry)}
    others = [str(name) for name, entry in content.items() if not is_numbers(entry)]
    found = names_of(others)
    if others and not arrays:
        raise ValueError(f"{path}: must hold a state dict; got no tensors but {found}.")
    if others:
        print(f"{path}: left out what is no tensor of numbers: {found}.")
    return arrays


def is_numbers(entry: Any) -> bool:
    """Whether an entry of a file is an array of real numbers or truth values."""
    if not isinstance(entry, np.ndarray):
        return False
    return entry.dtype.kind in "fiub" or entry.dtype.name == "bfloat16"


def names_of(names: list[str]) -> str:
    """The first few names and how many there are, for a message."""
    more = f", … ({len(names)} names)" if len(names) > _MOST_NAMES else ""
    return ", ".join(f"{name:.80}" for name in names[:_MOST_NAMES]) + more
