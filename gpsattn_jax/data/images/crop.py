"""Images of any size -> images of one size: centre crops, random resized crops."""

import dataclasses
import functools
import math
from typing import Annotated

import numpy as np

from gpsattn_jax.configs import Checked, Count, Rule, one_of, rising_pair, within
from gpsattn_jax.data.images.decode import METHODS, Box, Source, resized_box

WITHIN_ONE = rising_pair("(0, 1]", "be two numbers that rise within (0, 1]")
POSITIVE = rising_pair("(0, inf)", "be two positive numbers that rise")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crop(Checked):
    """How an image of any size becomes a square.

    Attributes:
        size: pixels of a side.
        channels: 1 (grey) or 3 (RGB).
        share: evaluation: the middle square has this share of the shorter side.
        scale: training: least and greatest share of the area that is cut out.
        ratio: training: least and greatest width over height of what is cut out.
        method: of interpolation: bilinear, bicubic or lanczos, all antialiased.
    """

    size: Count
    channels: Annotated[int, Rule((1, 3).__contains__, "be 1 or 3")] = 3
    share: Annotated[float, within("(0, 1]")] = 0.875
    scale: Annotated[tuple[float, ...], WITHIN_ONE] = (0.08, 1.0)
    ratio: Annotated[tuple[float, ...], POSITIVE] = (3 / 4, 4 / 3)
    method: Annotated[str, one_of(METHODS)] = "bicubic"

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
    random = np.random.default_rng(seed)
    choose = functools.partial(random_box, random=random, scale=scale, ratio=ratio)
    return resized_box(source, size, choose, channels, method=method, name=name)


def center_box(width: int, height: int, share: float) -> Box:
    """The middle square with a share of the shorter side."""
    side = min(width, height) * share
    left, upper = (width - side) / 2, (height - side) / 2
    return left, upper, left + side, upper + side


def random_box(
    width: int,
    height: int,
    random: np.random.Generator,
    scale: tuple[float, ...],
    ratio: tuple[float, ...],
) -> Box:
    """A box of random area and shape (Szegedy et al. 2015), by torchvision's rule.

    Ten tries; if none fits into the image, the middle as far as `ratio` allows.

    Args:
        width: of the image.
        height: of the image.
        random: where the draws come from.
        scale: the area is uniform between these shares of the image's.
        ratio: width over height is log-uniform between these.

    Returns:
        Whole numbers: left, upper, right, lower.
    """
    for _ in range(10):
        area = width * height * random.uniform(scale[0], scale[1])
        shape = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        across, down = round((area * shape) ** 0.5), round((area / shape) ** 0.5)
        if 0 < across <= width and 0 < down <= height:
            left = int(random.integers(width - across + 1))
            upper = int(random.integers(height - down + 1))
            return left, upper, left + across, upper + down
    shape = min(max(width / height, ratio[0]), ratio[1])
    across = min(width, max(1, round(height * shape)))
    down = min(height, max(1, round(width / shape)))
    left, upper = (width - across) // 2, (height - down) // 2
    return left, upper, left + across, upper + down
