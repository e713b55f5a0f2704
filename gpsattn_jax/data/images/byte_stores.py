"""Where the bytes of image files lie: in a folder, or in a zip archive as it is."""

import os
import threading
import zipfile
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from gpsattn_jax.data.images.decode import MOST_BYTES
from gpsattn_jax.reader_errors import open_regular, readable


class ByteStore(Protocol):
    """Image files by place; threads may share one, and it can be pickled."""

    def __len__(self) -> int:
        """How many files."""

    def read(self, place: int) -> bytes | np.ndarray:
        """A file's bytes, or its pixels [H, W, 1 or 3] if it has been decoded."""

    def name(self, place: int) -> str:
        """What errors call the file."""

    def stamp(self, place: int) -> list[Any]:
        """What changes when the file does; to be kept as JSON."""

    def take(self, places: np.ndarray) -> "ByteStore":
        """The files at some places."""


class Paths:
    """Files below a folder.

    Args:
        root: the folder.
        names: paths from there.
    """

    def __init__(self, root: str | os.PathLike, names: Sequence[str]):
        self._root, self._names = os.fspath(root), list(names)

    def __len__(self) -> int:
        """How many files."""
        return len(self._names)

    def read(self, place: int) -> bytes:
        with open_regular(self.name(place), MOST_BYTES) as file:
            return file.read()

    def name(self, place: int) -> str:
        return os.path.join(self._root, self._names[place])

    def stamp(self, place: int) -> list[Any]:
        status = os.stat(self.name(place))
        return [self._names[place], status.st_size, status.st_mtime_ns]

    def take(self, places: np.ndarray) -> "Paths":
        return Paths(self._root, [self._names[place] for place in places])


class ZipMembers:
    """Members of a zip archive, read without unpacking it.

    Args:
        path: the archive.
        members: names in it.
    """

    def __init__(self, path: str | os.PathLike, members: Sequence[str]):
        self._path, self._members = os.fspath(path), list(members)
        self._lock = threading.Lock()
        self._open: tuple[int, zipfile.ZipFile] | None = None

    def __len__(self) -> int:
        """How many members."""
        return len(self._members)

    def read(self, place: int) -> bytes:
        """A member's bytes.

        Raises:
            ValueError: if the archive is damaged there.
        """
        with readable(self.name(place), "image"):
            archive, member = self._archive(), self._members[place]
            size = archive.getinfo(member).file_size
            if size > MOST_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes")
            return archive.read(member)

    def name(self, place: int) -> str:
        return f"{self._path}/{self._members[place]}"

    def stamp(self, place: int) -> list[Any]:
        member = self._archive().getinfo(self._members[place])
        return [member.filename, member.file_size, member.CRC]

    def take(self, places: np.ndarray) -> "ZipMembers":
        return ZipMembers(self._path, [self._members[place] for place in places])

    def _archive(self):
        """The archive, opened once in each process: a fork would share its position.

        Within a process `zipfile` itself lets only one thread at a time seek and read.
        """
        with self._lock:
            if self._open is None or self._open[0] != os.getpid():
                self._open = os.getpid(), zipfile.ZipFile(self._path)
            return self._open[1]

    def __getstate__(self) -> tuple[str, list[str]]:
        return self._path, self._members

    def __setstate__(self, state: tuple[str, list[str]]) -> None:
        self.__init__(*state)  # type: ignore[misc]
