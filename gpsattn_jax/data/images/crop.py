"""Images of any size -> images of one size: centre crops, random resized crops."""

import dataclasses
import functools

import numpy as np

from gpsattn_jax.data.images.decode import Box, Source, check_method, resized_box
from gpsattn_jax.data.images.random_box import TRIES, random_box


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crop:
    """How an image of any size becomes a square.

    Attributes:
        size: pixels of a side.
        channels: 1 (grey) or 3 (RGB).
        share: evaluation: the middle square has this share of the shorter side.
        scale: training: least and greatest share of the area that is cut out.
        ratio: training: least and greatest width over height of what is cut out.
        method: of interpolation: bilinear, bicubic or lanczos, all antialiased.
    """

    size: int
    channels: int = 3
    share: float = 0.875
    scale: tuple[float, ...] = (0.08, 1.0)
    ratio: tuple[float, ...] = (3 / 4, 4 / 3)
    method: str = "bicubic"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1; got {self.size}.")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3; got {self.channels}.")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1]; got {self.share}.")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(
                f"scale must be two numbers that rise within (0, 1]; got {self.scale}."
            )
        if len(self.ratio) != 2 or not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(
                f"ratio must be two positive numbers that rise; got {self.ratio}."
            )
        check_method(self.method)

    def __call__(
        self, source: Source, seed: int | None = None, *, name: str = ""
    ) -> np.ndarray:
        """-> [size, size, channels] uint8: at random by a seed, or the middle."""
        if seed is None:
            return center_crop(
                source,
                self.size,
                self.share,
                channels=self.channels,
                method=self.method,
                name=name,
            )
        return random_resized_crop(
            source,
            self.size,
            seed,
            self.scale,
            self.ratio,
            self.method,
            channels=self.channels,
            name=name,
        )


def center_crop(
    source: Source,
    size: int,
    share: float = 0.875,
    *,
    channels: int = 3,
    method: str = "bicubic",
    name: str = "",
) -> np.ndarray:
    """The middle of an image, for evaluation.

    It is what one gets by scaling the shorter side to size / share and cutting out the
    middle, done at once.

    Args:
        source: a path, a file's bytes, or uint8 pixels [H, W, 1 or 3].
        size: pixels of a side of the result.
        share: how much of the shorter side is kept.
        channels: 1 (grey) or 3 (RGB).
        method: bilinear, bicubic or lanczos.
        name: what errors call the image; its path by default.

    Returns:
        [size, size, channels] uint8.

    Raises:
        ValueError: `NAME: not a readable image: why`.
    """
    choose = functools.partial(center_box, share=share)
    return resized_box(source, size, choose, channels, method=method, name=name)


def random_resized_crop(
    source: Source,
    size: int,
    seed: int,
    scale: tuple[float, ...] = (0.08, 1.0),
    ratio: tuple[float, ...] = (3 / 4, 4 / 3),
    method: str = "bicubic",
    *,
    channels: int = 3,
    name: str = "",
) -> np.ndarray:
    """A random part of an image, for training; the same seed cuts the same part.

    Args:
        source: as for `center_crop`.
        size: pixels of a side of the result.
        seed: not negative.
        scale: as for `random_box`.
        ratio: as for `random_box`.
        method: bilinear, bicubic or lanczos.
        channels: 1 (grey) or 3 (RGB).
        name: as for `center_crop`.

    Returns:
        [size, size, channels] uint8.

    Raises:
        ValueError: `NAME: not a readable image: why`.
    """
    draws = np.random.default_rng(seed).random((2, TRIES + 1))

    def choose(width, height):
        top, left, rows, columns = random_box(draws, height, width, scale, ratio)
        return left, top, left + columns, top + rows

    return resized_box(source, size, choose, channels, method=method, name=name)


def center_box(width: int, height: int, share: float) -> Box:
    """The middle square with a share of the shorter side."""
    side = min(width, height) * share
    left, upper = (width - side) / 2, (height - side) / 2
    return left, upper, left + side, upper + side
