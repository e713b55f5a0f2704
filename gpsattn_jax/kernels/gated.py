"""Attention that a gate leads from positions to contents (ConViT)."""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import attention_weights


def gated_attention(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    position: chex.Array,
    gate: chex.Array,
    *,
    scale: float | None = None,
) -> chex.Array:
    """Gated positional self-attention of one head.

    ((1 - g) softmax(scale * query key^T) + g softmax(position)) value, g =
    sigmoid(gate). A head can look at places alone, as a convolution does, at contents
    alone, or anything between. ConViT (arXiv 2103.10697), equation 7; its division by
    the sum of each row is left out, since the rows sum to one.

    Args:
        query: [T, D].
        key: [S, D].
        value: [S, E].
        position: [T, S], logits that no content enters.
        gate: [], where between content (-inf) and position (inf).
        scale: factor on the content's logits; 1/sqrt(D) by default.

    Returns:
        [T, E] in value's dtype; weights are float32 at least.

    Raises:
        ValueError: if the shapes do not fit.
    """
    check_shapes(
        query=(query, "T D"), key=(key, "S D"), value=(value, "S E"),
        position=(position, "T S"), gate=(gate, ""),
    )  # fmt: skip
    query, value, position, gate = as_floating(query, value, position, gate)
    dtype = accumulator(query)
    contents = attention_weights(query.astype(dtype), key, scale=scale)
    places = jax.nn.softmax(position.astype(dtype), axis=-1)
    gate = jax.nn.sigmoid(gate.astype(dtype))
    weights = ((1 - gate) * contents + gate * places).astype(value.dtype)
    out = jnp.matmul(weights, value, preferred_element_type=accumulator(value))
    return out.astype(value.dtype)
