"""Softmax attention of one head: the weights, and what they gather."""

import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.shapes import check_shapes


def attention_weights(
    query: jax.Array,
    key: jax.Array,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    *,
    scale: float | None = None,
) -> jax.Array:
    """Softmax weights of one attention head.

    softmax(scale * query key^T + bias), Vaswani et al. 2017 (arXiv 1706.03762), eq. 1.

    Args:
        query: [T, D].
        key: [S, D].
        bias: optional [T, S], added to the logits; positional encodings enter here.
        mask: optional boolean [T, S]; False hides a key. A query that sees no key has
            weights of zero.
        scale: factor on the logits; 1/sqrt(D) by default. PGL-SUM uses 1.

    Returns:
        [T, S] in query's dtype; each row sums to one. Logits and softmax are float32
        (float64 for float64 inputs).

    Raises:
        ValueError: if the shapes do not fit.
    """
    check_shapes(
        query=(query, "T D"), key=(key, "S D"), bias=(bias, "T S"), mask=(mask, "T S")
    )
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    logits = scale * jnp.matmul(query, key.T, preferred_element_type=accumulator(query))
    if bias is not None:
        logits += bias
    if mask is not None:
        logits = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
    weights = jax.nn.softmax(logits, axis=-1)
    if mask is not None:
        weights = jnp.where(mask, weights, 0)  # a row that sees no key returns 0
    return weights.astype(query.dtype)


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    bias: jax.Array | None = None,
    mask: jax.Array | None = None,
    *,
    scale: float | None = None,
) -> jax.Array:
    """Softmax attention of one head: [T, D], [S, D], [S, E] -> [T, E].

    Arguments beyond `value` are those of `attention_weights`; the result has value's
    dtype.

    Raises:
        ValueError: if the shapes do not fit.
    """
    check_shapes(key=(key, "S D"), value=(value, "S E"))
    weights = attention_weights(query, key, bias, mask, scale=scale)
    out = jnp.matmul(weights, value, preferred_element_type=accumulator(value))
    return out.astype(value.dtype)


def accumulator(array: jax.Array) -> jnp.dtype:
    """The dtype in which sums over `array` are kept: float32 at least."""
    return jnp.promote_types(array.dtype, jnp.float32)
