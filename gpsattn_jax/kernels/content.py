"""Global content attention, linear in the number of positions (GSA-Net)."""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_shapes


def content_attention(
    query: chex.Array, key: chex.Array, value: chex.Array
) -> chex.Array:
    """Global attention without a [T, S] matrix.

    query (softmax_S(key)^T value): each key channel spreads one unit of weight over all
    positions and gathers a row of values; the queries mix these D rows. There is no
    scale and no softmax over the queries. GSA-Net (arXiv 2010.03019), figure 1; the
    content lambda of LambdaNetworks (arXiv 2102.08602).

    Args:
        query: [T, D].
        key: [S, D]; normalised over S, for each channel.
        value: [S, E].

    Returns:
        [T, E] in value's dtype; sums are kept in float32 at least.

    Raises:
        ValueError: if the shapes do not fit.
    """
    check_shapes(query=(query, "T D"), key=(key, "S D"), value=(value, "S E"))
    query, key, value = as_floating(query, key, value)
    dtype = accumulator(value)
    # exp first, one division of the small [D, E] context last: no normalised keys.
    logits = key.astype(dtype)
    top = logits.max(axis=0, keepdims=True, initial=-jnp.inf)
    spread = jnp.exp(logits - jax.lax.stop_gradient(top))
    total = spread.sum(axis=0) if len(key) else jnp.ones(key.shape[1], dtype)
    context = jnp.matmul(spread.T, value.astype(dtype)) / total[:, None]
    return jnp.matmul(query.astype(dtype), context).astype(value.dtype)


def content_weights(query: chex.Array, key: chex.Array) -> chex.Array:
    """What `content_attention` multiplies the values with, for pictures of few queries.

    Args:
        query: [T, D]; the memory is T x S, so choose few.
        key: [S, D].

    Returns:
        [T, S], signed; rows sum to the sum of the query's channels.

    Raises:
        ValueError: if the shapes do not fit.
    """
    check_shapes(query=(query, "T D"), key=(key, "S D"))
    query, key = as_floating(query, key)
    spread = jax.nn.softmax(key.astype(accumulator(key)), axis=0)
    return jnp.matmul(query.astype(spread.dtype), spread.T).astype(query.dtype)
