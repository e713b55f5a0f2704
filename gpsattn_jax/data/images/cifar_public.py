"""CIFAR-10 and CIFAR-100 as their authors publish them: pickles, archives, binaries."""

import contextlib
import gzip
import os
import pathlib
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpsattn_jax.data.files.pickles import parse_pickle

_FOLDERS = ("cifar-100-python", "cifar-100-binary", "cifar-10-batches-py",
            "cifar-10-batches-bin")  # fmt: skip
_SIDE, _PIXELS = 32, 3072
# The largest published file has 155 MB, the largest archive unpacks to 190.
_MOST_BYTES, _MOST_MEMBERS = 300_000_000, 100
_MOST_STEPS = 1_000_000  # four for each image, and as many again
_TEN = [f"data_batch_{number}" for number in range(1, 6)]


def read(
    folder: str | os.PathLike, split: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """One part of CIFAR-100 or CIFAR-10.

    Args:
        folder: `cifar-100-python`, `cifar-100-binary`, `cifar-10-batches-py` or
            `cifar-10-batches-bin`, their .tar.gz, or a folder that holds one of them.
        split: "train" or "test".

    Returns:
        (images [n, 32, 32, 3] uint8, fine labels [n] int32, coarse labels [n] int32;
        None for CIFAR-10, which has none).

    Raises:
        FileNotFoundError: says what was looked for.
        ValueError: names the file that is not as published, or that would run code.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be train or test; got {split!r}.")
    files = _Files(folder)
    hundred = files.layout.startswith("cifar-100")
    binary = files.layout.endswith(("binary", "bin"))
    names = [split] if hundred else _TEN if split == "train" else ["test_batch"]
    if binary:
        parts = [_records(files, f"{name}.bin", 1 + hundred) for name in names]
    else:
        parts = [_pickled(files, name, hundred) for name in names]
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    images = pixels.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return (
        np.ascontiguousarray(images),
        labels[:, -1].astype(np.int32),
        labels[:, 0].astype(np.int32) if hundred else None,
    )


def class_names(folder: str | os.PathLike) -> dict[str, tuple[str, ...]]:
    """The names of the classes: {"fine"} and for CIFAR-100 also {"coarse"}.

    Args:
        folder: as for `read`.

    Raises:
        FileNotFoundError: says what was looked for.
        ValueError: names the file that is not as published, or that would run code.
    """
    files = _Files(folder)
    if files.layout.endswith("binary"):
        return {
            level: tuple(files.read(f"{level}_label_names.txt").decode().split())
            for level in ("fine", "coarse")
        }
    if files.layout.endswith("bin"):
        return {"fine": tuple(files.read("batches.meta.txt").decode().split())}
    if files.layout.endswith("py"):
        return {"fine": _names(files, "batches.meta", "label_names")}
    return {
        level: _names(files, "meta", f"{level}_label_names")
        for level in ("fine", "coarse")
    }


class _Files:
    """The published files, in a folder or in the archive as it is."""

    def __init__(self, folder: str | os.PathLike):
        path = pathlib.Path(folder)
        below = [path] + [path / name for name in _FOLDERS]
        found = next((p for p in below if p.is_dir() and p.name in _FOLDERS), None)
        if found is None and path.is_file():
            found = path
        if found is None and path.is_dir():
            found = next(iter(sorted(path.glob("cifar-10*.tar.gz"))), None)
        if found is None:
            raise FileNotFoundError(
                f"{path}: no CIFAR there; looked for {', '.join(_FOLDERS)} and .tar.gz."
            )
        self.path = found
        self.layout = found.name if found.is_dir() else self._layout_inside()

    def read(self, name: str) -> bytes:
        if self.path.is_dir():
            file = self.path / name
            if not file.is_file():
                raise FileNotFoundError(f"{file}: not there.")
            self._check_size(file, file.stat().st_size)
            return file.read_bytes()
        with self._archive() as archive:
            for member in self._members(archive):
                if member.name == f"{self.layout}/{name}" and member.isfile():
                    return archive.extractfile(member).read()
        raise FileNotFoundError(f"{self.where(name)}: not there.")

    def _members(self, archive):
        """One after the other, as long as they are no more than those published."""
        size = 0
        for count, member in enumerate(archive):
            size += member.size
            self._check_size(self.path, size)
            if count == _MOST_MEMBERS:
                raise ValueError(f"{self.path}: has more than {count} members.")
            yield member

    def _check_size(self, path, size):
        if size > _MOST_BYTES:
            raise ValueError(
                f"{path}: must have at most {_MOST_BYTES:,} bytes unpacked; "
                f"got {size:,}."
            )

    @contextlib.contextmanager
    def _archive(self) -> Iterator[Any]:
        try:
            with tarfile.open(self.path) as archive:
                yield archive
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{self.path}: not a readable archive: {error}") from error

    def where(self, name: str) -> str:
        inside = "" if self.path.is_dir() else f"/{self.layout}"
        return f"{self.path}{inside}/{name}"

    def _layout_inside(self):
        with self._archive() as archive:
            first = archive.next()
        layout = first.name.split("/")[0] if first else ""
        if layout not in _FOLDERS:
            raise ValueError(
                f"{self.path}: must hold one of {', '.join(_FOLDERS)}; got {layout!r}."
            )
        return layout


def _unpickle(files, name):
    tree = parse_pickle(files.read(name), files.where(name), most_steps=_MOST_STEPS)
    if not isinstance(tree, dict):
        raise ValueError(
            f"{files.where(name)}: must hold a dict; got {type(tree).__name__}."
        )
    return tree


def _field(files, file, tree, name):
    if name not in tree:
        found = ", ".join(sorted(str(key) for key in tree))
        raise ValueError(
            f"{files.where(file)}: must have the field {name!r}; got {found:.300}."
        )
    return tree[name]


def _names(files, file, field):
    names = _field(files, file, _unpickle(files, file), field)
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{files.where(file)}: {field} must be a list of texts.")
    return tuple(names)


def _labels(files, file, tree, field):
    """The classes of n images, int [n]; published are lists."""
    labels = _field(files, file, tree, field)
    plain = isinstance(labels, list) and all(type(label) is int for label in labels)
    if plain or (isinstance(labels, np.ndarray) and labels.ndim == 1):
        array = np.asarray(labels)
        if not array.size:
            return array.astype(np.int32)
        if array.dtype.kind in "iu" and array.min() >= 0 and array.max() < 100:
            return array
    raise ValueError(f"{files.where(file)}: {field} must be integers in 0..99.")


def _pickled(files, name, hundred):
    """(pixels [n, 3072] uint8, labels [n, 1 or 2])."""
    tree = _unpickle(files, name)
    fields = ("coarse_labels", "fine_labels") if hundred else ("labels",)
    pixels = _field(files, name, tree, "data")
    labels = [_labels(files, name, tree, field) for field in fields]
    where, count = files.where(name), len(labels[0])
    if len(labels[-1]) != count:
        raise ValueError(
            f"{where}: fine_labels must be {count}, as coarse_labels are; "
            f"got {len(labels[-1])}."
        )
    wanted = np.dtype(np.uint8), (count, _PIXELS)
    if not isinstance(pixels, np.ndarray) or (pixels.dtype, pixels.shape) != wanted:
        got = getattr(pixels, "dtype", type(pixels).__name__)
        raise ValueError(
            f"{where}: data must be uint8 [{count}, {_PIXELS}]; "
            f"got {got} {getattr(pixels, 'shape', '')}."
        )
    return pixels, np.stack(labels, axis=1)


def _records(files, name, labels):
    """(pixels [n, 3072] uint8, labels [n, 1 or 2])."""
    content = np.frombuffer(files.read(name), np.uint8)
    size = labels + _PIXELS
    if len(content) == 0 or len(content) % size:
        raise ValueError(
            f"{files.where(name)}: must be records of {size} bytes; "
            f"got {len(content)} bytes."
        )
    records = content.reshape(-1, size)
    return records[:, labels:], records[:, :labels]
