"""Images of any size -> images of one size: centre crops, random resized crops."""

import dataclasses
import functools
from typing import Annotated

import numpy as np

from gpsattn_jax.configs import Checked, Count, Rule, one_of, rising_pair, within
from gpsattn_jax.data.images.decode import (
    METHODS,
    MOST_PIXELS,
    Box,
    Source,
    resized_box,
)
from gpsattn_jax.data.images.deep_pixels import BITS
from gpsattn_jax.data.images.random_box import TRIES, random_box

DEPTH = Rule((0, *BITS).__contains__, f"be 0 or one of {', '.join(map(str, BITS))}")
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
        bits: of grey with more than 8 bits; see `deep_pixels.to_eight_bits`.
        most_pixels: an image of more is refused.
    """

    size: Count
    channels: Annotated[int, Rule((1, 3).__contains__, "be 1 or 3")] = 3
    share: Annotated[float, within("(0, 1]")] = 0.875
    scale: Annotated[tuple[float, ...], WITHIN_ONE] = (0.08, 1.0)
    ratio: Annotated[tuple[float, ...], POSITIVE] = (3 / 4, 4 / 3)
    method: Annotated[str, one_of(METHODS)] = "bicubic"
    bits: Annotated[int, DEPTH] = 0
    most_pixels: Count = MOST_PIXELS

    def __call__(
        self, source: Source, seed: int | None = None, *, name: str = ""
    ) -> np.ndarray:
        """One image as a square.

        Args:
            source: a path, a file's bytes, or uint8 pixels [H, W, 1 or 3].
            seed: not negative; cuts out a random part, the same one again for the same
                seed. None: the middle.
            name: what errors call the image; its path by default.

        Returns:
            [size, size, channels] uint8.

        Raises:
            ValueError: `NAME: not a readable image: why`.
        """
        return resized_box(
            source,
            self.size,
            self._middle if seed is None else functools.partial(self._random, seed),
            self.channels,
            method=self.method,
            name=name,
            bits=self.bits,
            most_pixels=self.most_pixels,
        )

    def _middle(self, width, height):
        return center_box(width, height, self.share)

    def _random(self, seed, width, height):
        draws = np.random.default_rng(seed).random((2, TRIES + 1))
        box = random_box(draws, height, width, self.scale, self.ratio)
        top, left, rows, columns = (int(number) for number in box)
        return left, top, left + columns, top + rows


def center_box(width: int, height: int, share: float) -> Box:
    """The middle square of an image, for evaluation.

    Scaled to S pixels, it is what one gets by scaling the shorter side to S / share and
    cutting out the middle, done at once.

    Args:
        width: of the image.
        height: of the image.
        share: of the shorter side.

    Returns:
        Left, upper, right, lower.
    """
    side = min(width, height) * share
    left, upper = (width - side) / 2, (height - side) / 2
    return left, upper, left + side, upper + side
