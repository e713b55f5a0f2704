"""Adaptive average pooling: a map of any size -> a small square one."""

import chex
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_least, check_shapes


def adaptive_average_pool(x: chex.Array, size: int) -> chex.Array:
    """Means over `size` x `size` bins that cover the map: [H, W, C] -> [K, K, C].

    Bin i goes from floor(i H / K) to ceil((i + 1) H / K), as in PyTorch's
    `adaptive_avg_pool2d`; on a map smaller than K bins overlap and repeat pixels.

    Args:
        x: [H, W, C].
        size: K.

    Returns:
        [K, K, C] in x's dtype; sums are float32 at least.

    Raises:
        ValueError: if x has another rank, no pixels, or `size` is below one.
    """
    check_shapes(x=(x, "H W C"))
    height, width, channels = x.shape
    check_least(1, size=size, H=height, W=width)
    x = as_floating(x)
    wide = accumulator(x)
    if height % size == 0 and width % size == 0:
        bins = x.reshape(size, height // size, size, width // size, channels)
        return bins.mean((1, 3), dtype=wide).astype(x.dtype)
    rows, columns = (jnp.asarray(_bins(n, size), wide) for n in (height, width))
    pooled = jnp.einsum("kh,hwc->kwc", rows, x.astype(wide))
    return jnp.einsum("lw,kwc->klc", columns, pooled).astype(x.dtype)


def _bins(length, count):
    """[count, length]: each row the weights of one bin."""
    first = np.arange(count) * length // count
    last = -(-np.arange(1, count + 1) * length // count)
    place = np.arange(length)
    inside = (place >= first[:, None]) & (place < last[:, None])
    return inside / inside.sum(axis=1, keepdims=True)
