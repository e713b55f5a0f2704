"""Images decoded once and for all: a memory map of one size, kept on disk."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from gpsattn_jax.data.fingerprints import fingerprint
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.data.threads import in_threads
from gpsattn_jax.files import cache_folder, replaced
from gpsattn_jax.progress import with_progress
from gpsattn_jax.reader_errors import readable

_VERSION = 2  # of what becomes of a file; another one makes all caches again


class DecodedStore:
    """Decoded images in a memory map, as a `ByteStore`.

    Args:
        path: of the .npy file, [n, S, S, C] uint8.
        names: of the files they were.
        places: of these images in the file; all by default.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        names: list[str],
        places: np.ndarray | None = None,
    ):
        self._path, self._names = os.fspath(path), names
        self._pixels = np.load(path, mmap_mode="r")
        self._places = np.arange(len(names)) if places is None else places

    def __len__(self) -> int:
        """How many images."""
        return len(self._places)

    def read(self, place: int) -> np.ndarray:
        """[S, S, C] uint8."""
        return np.asarray(self._pixels[self._places[place]])

    def name(self, place: int) -> str:
        return self._names[self._places[place]]

    def stamp(self, place: int) -> list[Any]:
        return [self._path, int(self._places[place])]

    def take(self, places: np.ndarray) -> "DecodedStore":
        return DecodedStore(self._path, self._names, self._places[places])

    def __reduce__(self) -> tuple:
        """A copy in another process maps the file again."""
        return DecodedStore, (self._path, self._names, self._places)


def with_decoded_cache(
    images: ImageFiles, folder: str | os.PathLike | None = None
) -> ImageFiles:
    """The same set, with every image decoded to one size the first time.

    The shorter side is scaled to such a size that the middle square, which is kept,
    needs no more scaling; crops are then cut out of it. It takes n * size * size *
    channels bytes of disk. If a file's name, length, date or checksum changes, or the
    size, the cache is made anew.

    Args:
        images: the set.
        folder: of caches; `$GPSATTN_CACHE_DIR` or `~/.cache/gpsattn_jax` by default.

    Returns:
        A set that reads from the cache. Its file appears whole or not at all: one that
        was interrupted begins again, and of two processes at once the last one wins.

    Raises:
        ValueError: `FILE: not a readable image: why`.
    """
    crop = images.crop
    size = round(crop.size / crop.share)
    whole = dataclasses.replace(crop, size=size, share=1.0)
    mark = fingerprint(
        images.store, _VERSION, size, crop.channels, crop.method, crop.bits
    )
    path = pathlib.Path(folder or cache_folder()) / f"decoded-{mark}.npy"
    if not _is_whole(path, len(images), whole):
        _make(path, images, whole)
    names = [images.store.name(place) for place in range(len(images))]
    return dataclasses.replace(images, store=DecodedStore(path, names))


def _is_whole(path, count, crop):
    """Whether a cache is there. Its name tells that it is of these files and sizes."""
    try:
        with readable(path):
            pixels = np.load(path, mmap_mode="r")
    except (FileNotFoundError, ValueError):
        return False
    return pixels.shape == (count, crop.size, crop.size, crop.channels)


def _make(path, images, crop):
    """Decodes all images into a file beside `path`, which then takes its place."""
    whole = dataclasses.replace(images, crop=crop)
    shape = (len(images), crop.size, crop.size, crop.channels)
    with replaced(path) as partial:
        pixels = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)

        def fill(place):
            pixels[place] = whole.image(place)

        done = in_threads(fill, range(len(images)), images.threads)
        for _ in with_progress(done, len(images), f"Decoding images into {path}"):
            pass
        pixels.flush()
