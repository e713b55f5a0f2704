"""The lambda layer: a linear function for each place, made from its surroundings."""

import chex
import jax.numpy as jnp

from gpsattn_jax.kernels.content import content_attention
from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.grid import check_pixels, grid_keys
from gpsattn_jax.kernels.shapes import check_shapes


def lambda_attention(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    table: chex.Array,
    *,
    shape: tuple[int, int],
) -> chex.Array:
    """What a lambda layer gives one head of queries.

    query_t applied to (softmax_S(key)^T value + sum_s table[s - t] value_s^T): the
    content lambda, one for all places, and the position lambda, one for each. There is
    no softmax over the weights. LambdaNetworks (arXiv 2102.08602), equations 1 and 2.

    Lambdas [D, E] by place are never made: queries meet the table first, which takes
    H W weights a place instead of D E numbers, and less work for up to D E / (D + E)
    heads.

    Args:
        query: [T, D], pixels row after row, T = H W. Heads share key and value.
        key: [T, D]; normalised over the pixels, for each channel.
        value: [T, E].
        table: [Rh, Rw, D], both odd; the middle is offset zero. Offsets outside it
            weigh 0, so that a small table is the paper's lambda convolution.
        shape: (H, W).

    Returns:
        [T, E] in value's dtype; sums are kept in float32 at least.

    Raises:
        ValueError: if the shapes do not fit, or an axis of the table is even.
    """
    check_shapes(
        query=(query, "T D"), key=(key, "T D"), value=(value, "T E"),
        table=(table, "Rh Rw D"),
    )  # fmt: skip
    check_pixels("query", query, shape)
    query, key, value, table = as_floating(query, key, value, table)
    dtype = accumulator(value)
    wide = value.astype(dtype)
    weights = jnp.einsum(
        "td,tsd->ts", query.astype(dtype), grid_keys(table, shape).astype(dtype)
    )
    out = content_attention(query, key, wide) + jnp.matmul(weights, wide)
    return out.astype(value.dtype)
