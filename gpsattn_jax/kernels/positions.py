"""Where a time step stands, as a bias on the logits of attention.

A bias is a function of row indices (queries), column indices (keys) and the sequence's
true length, so that it can be made for a block at a time and for padded sequences. The
indices broadcast: rows [T, 1] and columns [1, S] give [T, S].
"""

from collections.abc import Callable

import chex
import jax.numpy as jnp

from gpsattn_jax.kernels.sines import sine

Bias = Callable[..., chex.Array]


def absolute_bias(
    rows: chex.Array,
    columns: chex.Array,
    length: chex.Array | int,
    *,
    frequency: float = 10_000.0,
    channels: int,
) -> chex.Array:
    """PGL-SUM's sinusoids, added to the logits (IEEE ISM 2021, section III-B).

    sin (even columns) or cos (odd ones) of row / frequency^(2k / channels), where
    k = floor(column / 2): the key's index plays the part of a frequency's index. In a
    sequence of odd length the last column is zero.

    Args:
        rows: indices of queries.
        columns: indices of keys.
        length: of the sequence.
        frequency: base of the wavelengths.
        channels: width of the network's input; not of a head.

    Returns:
        The bias, of the shape that rows and columns broadcast to.
    """
    dtype = jnp.result_type(float)
    pair = columns // 2
    # Far beyond the channels the power overflows, as it should: the angle is zero.
    angle = rows.astype(dtype) / jnp.power(frequency, (2 * pair / channels))
    return _sine_or_cosine(angle, columns, length)


def relative_bias(
    rows: chex.Array,
    columns: chex.Array,
    length: chex.Array | int,
    *,
    frequency: float = 10_000.0,
    channels: int | None = None,
) -> chex.Array:
    """PGL-SUM's relative sinusoids.

    sin (even columns) or cos (odd ones) of
    (column - row + T - 1) / frequency^((row + column) / (2 T)), where T is the length.
    In a sequence of odd length the last column is zero.

    Args:
        rows: indices of queries.
        columns: indices of keys.
        length: of the sequence.
        frequency: base of the wavelengths.
        channels: unused; every bias takes it.

    Returns:
        The bias, of the shape that rows and columns broadcast to.
    """
    del channels
    dtype = jnp.result_type(float)
    distance = (columns - rows + length - 1).astype(dtype)
    halves = (jnp.power(frequency, x / (2 * length)) for x in (rows, columns))
    wavelength = next(halves) * next(halves)
    return _sine_or_cosine(distance / wavelength, columns, length)


def no_bias(
    rows: chex.Array,
    columns: chex.Array,
    length: chex.Array | int,
    *,
    frequency: float | None = None,
    channels: int | None = None,
) -> chex.Array:
    """Zero everywhere: attention that knows nothing of positions.

    Args:
        rows: indices of queries.
        columns: indices of keys.
        length: unused; every bias takes it.
        frequency: likewise.
        channels: likewise.

    Returns:
        Zeros, of the shape that rows and columns broadcast to.
    """
    del length, frequency, channels
    shape = jnp.broadcast_shapes(rows.shape, columns.shape)
    return jnp.zeros(shape, jnp.result_type(float))


def _sine_or_cosine(angle, columns, length):
    """The sine of even columns and the cosine of odd ones, zero for one without pair.

    A pair is complete if its second column lies within the sequence.
    """
    waves = sine(angle, columns % 2)
    return jnp.where(columns // 2 < length // 2, waves, 0)


POSITION_BIASES: dict[str, Bias] = {
    "absolute": absolute_bias,
    "relative": relative_bias,
    "none": no_bias,
}
