"""Depthwise convolution along time, as a sum of shifted products."""

import functools
import operator

import chex
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_least, check_shapes


def temporal_conv(x: chex.Array, filters: chex.Array, *, stride: int = 1) -> chex.Array:
    """Convolves each channel with its own filter: PyTorch's conv1d with groups=C.

    A cross-correlation, with K // 2 zeros before and behind.

    Args:
        x: [T, C].
        filters: [K, C].
        stride: of the steps.

    Returns:
        [T', C] in x's dtype, T' = (T + 2 (K // 2) - K) // stride + 1; sums are kept in
        float32 at least.

    Raises:
        ValueError: if the shapes do not fit, or `stride` or K is below one.
    """
    check_shapes(x=(x, "T C"), filters=(filters, "K C"))
    check_least(1, stride=stride, K=len(filters))
    x, filters = as_floating(x, filters)
    size, wide = len(filters), accumulator(x)
    padded = jnp.pad(x, ((size // 2, size // 2), (0, 0)))
    last = len(padded) - size
    terms = (
        padded[k : k + last + 1 : stride].astype(wide) * filters[k].astype(wide)[None]
        for k in range(size)
    )
    return functools.reduce(operator.add, terms).astype(x.dtype)
