"""Attention of channels to channels; each channel is a token, seen at all places."""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_bias_and_mask, check_shapes

EPSILON = 1e-6  # the least length that a channel is divided by


def channel_weights(
    query: chex.Array,
    key: chex.Array,
    temperature: chex.Array,
    mask: chex.Array | None = None,
) -> chex.Array:
    """Softmax weights of one head between channels.

    softmax(temperature * q^T k), where q and k have unit length along T:
    cross-covariance attention, XCiT (arXiv 2106.09681), equation 2.

    Args:
        query: [T, D], T places of D channels.
        key: [T, E].
        temperature: [], learned.
        mask: optional boolean [T]; False hides a place, whatever stands there.

    Returns:
        [D, E] in query's dtype; each row sums to one. Products and softmax are float32
        (float64 for float64 inputs).

    Raises:
        ValueError: if the shapes do not fit, or the mask is not boolean.
    """
    check_shapes(
        query=(query, "T D"),
        key=(key, "T E"),
        temperature=(temperature, ""),
        mask=(mask, "T"),
    )
    check_bias_and_mask(None, mask)
    query, key = as_floating(query, key)
    if mask is not None:
        query, key = (jnp.where(mask[:, None], x, 0) for x in (query, key))
    wide = accumulator(query)
    product = jnp.matmul(query.T, key, preferred_element_type=wide)
    # Lengths divide the small product: the long arrays stay as they are.
    lengths = _inverse_length(query)[:, None] * _inverse_length(key)[None]
    weights = jax.nn.softmax(temperature.astype(wide) * lengths * product, axis=-1)
    return weights.astype(query.dtype)


def channel_attention(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    temperature: chex.Array,
    mask: chex.Array | None = None,
) -> chex.Array:
    """Channels gather channels: [T, D], [T, E], [T, E] -> [T, D].

    The cost grows linearly with T. Without a code of the place in query and key the
    weights do not depend on the order of places, since they sum over all of them.

    Args:
        query: [T, D].
        key: [T, E].
        value: [T, E].
        temperature: [], learned.
        mask: optional boolean [T]; hidden places neither count, whatever
            stands there, nor get anything but 0.

    Returns:
        [T, D] in value's dtype.

    Raises:
        ValueError: if the shapes do not fit, or the mask is not boolean.
    """
    check_shapes(key=(key, "T E"), value=(value, "T E"))
    weights = channel_weights(query, key, temperature, mask)
    value = as_floating(value)
    if mask is not None:
        value = jnp.where(mask[:, None], value, 0)
    out = jnp.matmul(value, weights.T, preferred_element_type=accumulator(value))
    return out.astype(value.dtype)


def _inverse_length(x):
    """[T, D] -> [D], with a finite gradient at zero."""
    square = jnp.square(x.astype(accumulator(x))).sum(0)
    return jax.lax.rsqrt(jnp.maximum(square, EPSILON**2))
