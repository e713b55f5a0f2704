"""Labelled images as arrays, and a user's own image files."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decode import SUFFIXES
from gpsattn_jax.data.images.walk import Walk, is_picture, is_visible


class Images(Protocol):
    """Labelled images of one size, in memory or decoded on demand.

    Attributes:
        labels: [n] int32.
        class_names: a name for each class.
        crops_by_seed: whether `batch` cuts random parts by its seeds.
    """

    @property
    def crops_by_seed(self) -> bool: ...

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int:
        """How many images."""

    def take(self, places: np.ndarray) -> "Images":
        """The images at some places."""

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """{"inputs": {"images": [k, H, W, C]}, "targets": {"label": [k]}}."""


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Labelled images of one size, in memory; a `Source` of batches.

    Attributes:
        images: [n, H, W, C], uint8, or float32 in 0..1.
        labels: [n] int32.
        class_names: a name for each class.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    @property
    def crops_by_seed(self) -> bool:
        """Never: the device crops them."""
        return False

    def __len__(self) -> int:
        """How many images."""
        return len(self.images)

    def take(self, places: np.ndarray) -> "ImageSet":
        """The images at some places."""
        return ImageSet(self.images[places], self.labels[places], self.class_names)

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """{"inputs": {"images": [k, H, W, C]}, "targets": {"label": [k]}}."""
        del seeds
        return {
            "inputs": {"images": self.images[places]},
            "targets": {"label": self.labels[places]},
        }


def find_images(pattern: str | os.PathLike) -> list[pathlib.Path]:
    """The image files of a folder (searched to the bottom), a glob pattern, or a file.

    Raises:
        FileNotFoundError: if there are none.
    """
    path = pathlib.Path(pattern)
    if path.is_dir():
        found = [pathlib.Path(name) for name in Walk(path).pictures(path)]
    elif path.exists():
        found = [path]
    else:
        root = pathlib.Path(path.anchor or ".")
        names = root.glob(str(path.relative_to(path.anchor)))
        found = [p for p in names if _is_wanted(p)]
    if not found:
        raise FileNotFoundError(
            f"{pattern}: no images there; looked for {', '.join(SUFFIXES)}."
        )
    return sorted(found)


def _is_wanted(path):
    return path.is_file() and is_visible(path.name) and is_picture(os.fspath(path))


def read_images(
    paths: Sequence[str | os.PathLike], size: int, channels: int
) -> np.ndarray:
    """Image files -> [n, size, size, channels] float32 in 0..1.

    The shorter side is scaled to `size`, the middle is cut out.

    Args:
        paths: any format that Pillow reads.
        size: pixels of a side.
        channels: 1 (grey) or 3 (RGB).

    Raises:
        ValueError: names the file that is no readable image.
    """
    crop = Crop(size=size, channels=channels, share=1.0)
    return np.stack([crop(path) for path in paths]).astype(np.float32) / np.float32(255)
