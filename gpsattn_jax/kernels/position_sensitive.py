"""Softmax attention along a line in which queries, keys and values know distances."""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.relative import relative_keys
from gpsattn_jax.kernels.shapes import check_shapes


def position_sensitive_attention(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    query_table: chex.Array,
    key_table: chex.Array,
    value_table: chex.Array,
    *,
    scale: float = 1.0,
) -> chex.Array:
    """Position-sensitive attention of one head along one line.

    weights = softmax_s(scale * (q_t . k_s + q_t . rq[s - t] + k_s . rk[s - t])), out_t
    = sum_s weight_ts (v_s + rv[s - t]). Down the columns and then along the rows it is
    axial attention. Axial-DeepLab (arXiv 2003.07853), equation 4.

    Args:
        query: [T, D].
        key: [T, D].
        value: [T, E].
        query_table: rq [R, D], R odd; the middle row is distance zero. Distances
            outside a table add 0.
        key_table: rk [R, D].
        value_table: rv [R, E].
        scale: factor on the logits; the paper has none.

    Returns:
        [T, E] in value's dtype; logits and sums are float32 at least.

    Raises:
        ValueError: if the shapes do not fit or R is even.
    """
    check_shapes(
        query=(query, "T D"), key=(key, "T D"), value=(value, "T E"),
        query_table=(query_table, "R D"), key_table=(key_table, "R D"),
        value_table=(value_table, "R E"),
    )  # fmt: skip
    query, key, value = as_floating(query, key, value)
    dtype = accumulator(value)
    by_query, by_key, by_value = (
        relative_keys(as_floating(table).astype(dtype), len(query))
        for table in (query_table, key_table, value_table)
    )
    wide_query, wide_key, wide = (a.astype(dtype) for a in (query, key, value))
    logits = jnp.matmul(wide_query, wide_key.T)
    logits += jnp.einsum("td,tsd->ts", wide_query, by_query)
    logits += jnp.einsum("sd,tsd->ts", wide_key, by_key)
    weights = jax.nn.softmax(scale * logits, axis=-1)
    out = jnp.matmul(weights, wide) + jnp.einsum("ts,tse->te", weights, by_value)
    return out.astype(value.dtype)
