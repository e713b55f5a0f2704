"""Encodings of position that other networks use, for importing by themselves."""

from collections.abc import Callable

import chex
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.grid import check_pixels, grid_bias
from gpsattn_jax.kernels.shapes import check_shapes


def rotary_2d(
    x: chex.Array, *, shape: tuple[int, int], frequency: float = 10_000.0
) -> chex.Array:
    """Rotary embedding of a map: turns pairs of channels by their pixel's place.

    For queries and keys alike, so that their products depend on offsets alone. RoFormer
    (arXiv 2104.09864), equation 34, of the row in the first half of the channels and of
    the column in the second; the pairs are neighbours.

    Args:
        x: [T, D], pixels row after row, T = H W; D a multiple of 4.
        shape: (H, W).
        frequency: base of the wavelengths.

    Returns:
        [T, D] in x's dtype.

    Raises:
        ValueError: if the shapes do not fit, or D is no multiple of 4.
    """
    check_shapes(x=(x, "T D"))
    check_pixels("x", x, shape)
    channels = x.shape[1]
    if channels % 4:
        raise ValueError(f"x must have a multiple of 4 channels; got {channels}.")
    x = as_floating(x)
    dtype = accumulator(x)
    bands = frequency ** (
        -jnp.arange(0, channels // 2, 2, dtype=dtype) / (channels / 2)
    )
    place = jnp.arange(len(x))
    row, column = place // max(shape[1], 1), place % max(shape[1], 1)
    turns = [side[:, None].astype(dtype) * bands[None] for side in (row, column)]
    angle = jnp.concatenate(turns, axis=1)  # [T, D / 2]
    pairs = x.astype(dtype).reshape(len(x), channels // 2, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    turned = even * cosine - odd * sine, odd * cosine + even * sine
    return jnp.stack(turned, axis=-1).reshape(x.shape).astype(x.dtype)


def alibi_bias(
    rows: chex.Array,
    columns: chex.Array,
    length: chex.Array | int = 0,
    *,
    slope: float | chex.Array,
) -> chex.Array:
    """ALiBi: a penalty that grows with the distance, in both directions.

    -slope * |row - column|; head n of N has the slope 2^(-8 (n + 1) / N). "Train Short,
    Test Long" (arXiv 2108.12409), section 3. Called like the `POSITION_BIASES`.

    Args:
        rows: indices of queries.
        columns: indices of keys.
        length: unused; every bias takes it.
        slope: of this head.

    Returns:
        The bias, of the shape that rows and columns broadcast to.
    """
    del length
    return -slope * jnp.abs(rows - columns).astype(jnp.result_type(float))


# Turns queries and keys; makes a bias for logits from indices, or from a learned table.
POSITION_ENCODINGS: dict[str, Callable[..., chex.Array]] = {
    "rotary_2d": rotary_2d,
    "alibi": alibi_bias,
    "swin": grid_bias,
}
