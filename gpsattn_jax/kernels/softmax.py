"""Softmax attention of one head: the weights, and what they gather."""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_bias_and_mask, check_shapes


def attention_weights(
    query: chex.Array,
    key: chex.Array,
    bias: chex.Array | None = None,
    mask: chex.Array | None = None,
    *,
    scale: float | None = None,
) -> chex.Array:
    """Softmax weights of one attention head.

    softmax(scale * query key^T + bias), Vaswani et al. 2017 (arXiv 1706.03762), eq. 1.

    Args:
        query: [T, D].
        key: [S, D].
        bias: optional [T, S], added to the logits; positional encodings enter here.
            -inf hides a key, as a mask does.
        mask: optional boolean [T, S]; False hides a key, whatever stands there, NaN
            too. A query that sees no key has weights of zero.
        scale: factor on the logits; 1/sqrt(D) by default. PGL-SUM uses 1.

    Returns:
        [T, S] in query's dtype; each row sums to one. Logits and softmax are float32
        (float64 for float64 inputs).

    Raises:
        ValueError: if the shapes do not fit, the bias is boolean or the mask is not.
    """
    check_shapes(
        query=(query, "T D"), key=(key, "S D"), bias=(bias, "T S"), mask=(mask, "T S")
    )
    check_bias_and_mask(bias, mask)
    query, key = as_floating(query, key)
    scale = max(query.shape[-1], 1) ** -0.5 if scale is None else scale
    if mask is not None:  # what nobody sees must not reach a gradient either
        query, key = _clear_rows(query, mask.any(1)), _clear_rows(key, mask.any(0))
    logits = scale * jnp.matmul(query, key.T, preferred_element_type=accumulator(query))
    if bias is not None:
        logits += bias
        finite = bias != -jnp.inf
        mask = finite if mask is None else mask & finite
    if mask is None:
        return jax.nn.softmax(logits, axis=-1).astype(query.dtype)
    blind = ~mask.any(-1, keepdims=True)
    logits = jnp.where(blind, 0, jnp.where(mask, logits, -jnp.inf))
    weights = jax.nn.softmax(logits, axis=-1)
    return jnp.where(blind, 0, weights).astype(query.dtype)


def attend(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    bias: chex.Array | None = None,
    mask: chex.Array | None = None,
    *,
    scale: float | None = None,
) -> chex.Array:
    """Softmax attention of one head: [T, D], [S, D], [S, E] -> [T, E].

    Args:
        query: [T, D].
        key: [S, D].
        value: [S, E].
        bias: optional [T, S], see `attention_weights`.
        mask: optional boolean [T, S]; False hides a key and its value, NaN too.
        scale: factor on the logits; 1/sqrt(D) by default.

    Returns:
        [T, E] in value's dtype.

    Raises:
        ValueError: if the shapes do not fit, the bias is boolean or the mask is not.
    """
    check_shapes(key=(key, "S D"), value=(value, "S E"))
    value = as_floating(value)
    weights = attention_weights(query, key, bias, mask, scale=scale)
    if mask is None:
        return _gather(weights, value)
    # A weight of zero times NaN is NaN: what is not finite is taken out, and put back
    # where a query does see it.
    sound = jnp.isfinite(value).all(1)
    out = _gather(weights, _clear_rows(value, sound))
    not_finite = (mask & ~sound[None]).any(1, keepdims=True)
    return jnp.where(not_finite, jnp.nan, out)


def _gather(weights, value):
    out = jnp.matmul(weights, value, preferred_element_type=accumulator(value))
    return out.astype(value.dtype)


def _clear_rows(array, rows):
    """Zeros in the rows that are False."""
    return jnp.where(rows[:, None], array, 0)
