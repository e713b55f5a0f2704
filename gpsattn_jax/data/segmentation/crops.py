"""A random part of a picture and the same part of its mask."""

from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.segmentation.sources import IGNORE


def random_crop(
    picture: np.ndarray,
    mask: np.ndarray,
    size: int,
    scale: Sequence[float],
    draw: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Scales both by a random factor and cuts a random square out.

    What is smaller than the square is filled up with its border, as prediction does;
    such pixels do not count.

    Args:
        picture: [H, W, C] uint8.
        mask: [H, W] uint8.
        size: pixels of the square's side.
        scale: range of the factor, which is drawn evenly in its logarithm.
        draw: random numbers.

    Returns:
        (picture [size, size, C], mask [size, size]).
    """
    low, high = np.log(scale)
    factor = np.exp(draw.uniform(low, high))
    if low or high:
        picture, mask = _scaled(picture, mask, factor)
    picture = pad_to(picture, size, mode="edge")
    mask = pad_to(mask, size, mode="constant", constant_values=IGNORE)
    top, left = (draw.integers(side - size + 1) for side in mask.shape)
    box = slice(top, top + size), slice(left, left + size)
    return picture[box], mask[box]


def pad_to(array: np.ndarray, size: int, **how: object) -> np.ndarray:
    """Adds rows below and columns at the right until there are `size` of both.

    Args:
        array: [H, W, …].
        size: rows and columns at least.
        **how: of `np.pad`.
    """
    missing = [max(0, size - side) for side in array.shape[:2]]
    around = [(0, amount) for amount in missing] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, around, **how) if any(missing) else array  # type: ignore[call-overload]


def _scaled(picture, mask, factor):
    from PIL import Image

    height, width = (max(1, round(factor * side)) for side in mask.shape)
    flat = picture[..., 0] if picture.shape[2] == 1 else picture
    smooth, nearest = Image.Resampling.BILINEAR, Image.Resampling.NEAREST
    small = np.asarray(Image.fromarray(flat).resize((width, height), smooth))
    classes = np.asarray(Image.fromarray(mask).resize((width, height), nearest))
    return small.reshape(height, width, -1), classes
