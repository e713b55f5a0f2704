"""Maps of images at another size, as PyTorch's `interpolate` makes them."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np


def resize_bilinear(maps: chex.Array, size: Sequence[int]) -> chex.Array:
    """Resizes rows and columns: [B, H, W, C] -> [B, *size, C].

    Half-pixel centres, borders repeated and no low-pass filter: PyTorch's
    `mode="bilinear", align_corners=False`.

    Args:
        maps: [B, H, W, C].
        size: the new rows and columns.
    """
    shape = maps.shape[0], *size, maps.shape[3]
    return jax.image.resize(maps, shape, "bilinear", antialias=False)


def resize_nearest(maps: chex.Array, size: Sequence[int]) -> chex.Array:
    """Resizes rows and columns: [B, H, W, C] -> [B, *size, C].

    Place i takes what is at floor(i H / size): PyTorch's `mode="nearest"`;
    `jax.image.resize` counts from the pixels' centres.

    Args:
        maps: [B, H, W, C].
        size: the new rows and columns.
    """
    for axis, new in enumerate(size, start=1):
        old = maps.shape[axis]
        maps = jnp.take(maps, np.arange(new) * old // new, axis)
    return maps
