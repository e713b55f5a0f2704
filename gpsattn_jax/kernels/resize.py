"""Bicubic resizing as PyTorch does it, for tables of positions."""

from collections.abc import Sequence

import chex
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.kernels.dtypes import accumulator, as_floating

SHARPNESS = -0.75  # Keys' a; `jax.image.resize` has -0.5


def resize_bicubic(array: chex.Array, shape: Sequence[int]) -> chex.Array:
    """Resizes along every axis: of rank r -> `shape`, r sizes.

    Cubic convolution (Keys 1981) with a = -0.75, half-pixel centres, borders repeated
    and no low-pass filter: PyTorch's `interpolate(mode="bicubic",
    align_corners=False)`, with the places computed in double precision.

    Args:
        array: of any rank; a table of positions [T, S], or on grids [H, W, h, w].
        shape: the new sizes.

    Returns:
        The resized array in its own dtype; sums are float32 at least.

    Raises:
        ValueError: if the ranks differ or a size is below one.
    """
    if len(shape) != array.ndim or min((*shape, *array.shape), default=1) < 1:
        raise ValueError(
            f"shape must be {array.ndim} sizes of at least 1; got {tuple(shape)} "
            f"for an array {array.shape}."
        )
    array = as_floating(array)
    out = array.astype(accumulator(array))
    for axis, size in enumerate(shape):
        if size != out.shape[axis]:
            out = _resize_axis(out, axis, size)
    return out.astype(array.dtype)


def _resize_axis(array, axis, size):
    length = array.shape[axis]
    centre = (np.arange(size) + 0.5) * length / size - 0.5
    left = np.floor(centre)
    out = jnp.zeros((), array.dtype)
    for tap in range(-1, 3):
        place = np.clip(left + tap, 0, length - 1).astype(np.int32)
        weight = _cubic(np.abs(centre - left - tap))
        weight = weight.reshape((-1,) + (1,) * (array.ndim - axis - 1))
        weight = np.broadcast_to(weight, (1,) * axis + weight.shape)
        out += jnp.asarray(weight, array.dtype) * jnp.take(array, place, axis)
    return out


def _cubic(distance):
    """Keys' kernel at a distance in 0..2."""
    a, d = SHARPNESS, distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)
