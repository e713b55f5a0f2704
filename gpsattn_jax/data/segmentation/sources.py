"""Pictures with a class for each pixel."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from gpsattn_jax.data.batches import Batch

IGNORE = 255  # in a mask: a pixel that counts nowhere


class Masked(Protocol):
    """Pictures with masks, made or decoded when they are asked for.

    Attributes:
        class_names: a name for each class.
        held_out: whether they were drawn from the training part: one picture more or
            less there makes them others.
    """

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def held_out(self) -> bool: ...

    def __len__(self) -> int:
        """How many pictures."""

    def take(self, places: np.ndarray) -> "Masked":
        """The pictures at some places."""

    def name(self, place: int) -> str:
        """What a picture is called."""

    def whole(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """A picture [H, W, C] and its mask [H, W] as they are, uint8."""

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """{"inputs": {"images": [k, S, S, C]}, "targets": {"mask": [k, S, S]}}."""


def batch_of(scenes: Iterable[tuple[np.ndarray, np.ndarray]]) -> Batch:
    """Pictures [S, S, C] with masks [S, S] -> a batch, as `Masked.batch` gives it."""
    images, masks = zip(*scenes, strict=True)
    return {
        "inputs": {"images": np.stack(images)},
        "targets": {"mask": np.stack(masks)},
    }
