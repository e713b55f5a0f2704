"""GSA-Net's two branches with all heads side by side, as a TPU wants them.

A TPU fills the last axis of an array up to 128. Heads of 8 to 64 channels by
themselves would be carried about in up to sixteen times their size; [T, N D] is full,
or half full.
The results are those of `content_attention` and `axial_attention` under `jax.vmap`.
"""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.axial import in_parts
from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.relative import relative_attention
from gpsattn_jax.kernels.shapes import check_shapes

# Scores in float32 of the lines that are worked off at one time: with what is beside
# them they fit a TPU's vector memory, and none of it goes through HBM.
TILE_BYTES = 1 << 24


def content_attention_of_heads(
    query: chex.Array, key: chex.Array, value: chex.Array, num_heads: int
) -> chex.Array:
    """`content_attention` of all heads of one example.

    One matmul for the contexts of all pairs of heads: those of two different ones are
    replaced by zeros. A matrix unit takes no longer for them.

    Args:
        query: [T, N D].
        key: [S, N D].
        value: [S, N E].
        num_heads: N.

    Returns:
        [T, N E] in value's dtype; sums are kept in float32 at least.
    """
    check_shapes(query=(query, "T C"), key=(key, "S C"), value=(value, "S F"))
    query, key, value = as_floating(query, key, value)
    dtype = accumulator(value)
    logits = key.astype(dtype)
    spread = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=0, keepdims=True)))
    context = jnp.matmul(spread.T, value.astype(dtype)) / spread.sum(axis=0)[:, None]
    rows, columns = (
        jnp.arange(width) // (width // num_heads) for width in context.shape
    )
    context = jnp.where(rows[:, None] == columns[None], context, 0)
    return jnp.matmul(query.astype(dtype), context).astype(value.dtype)


def axial_attention_of_heads(
    query: chex.Array,
    value: chex.Array,
    table: chex.Array,
    num_heads: int,
    *,
    tile_bytes: int = TILE_BYTES,
) -> chex.Array:
    """`axial_attention` of all heads: they part inside of a tile of lines alone.

    Args:
        query: [L, T, N D].
        value: [L, T, N E].
        table: [R, D].
        num_heads: N.
        tile_bytes: scores [lines, N, T, T] in float32 that exist at one time.

    Returns:
        [L, T, N E] in value's dtype.
    """
    check_shapes(query=(query, "L T C"), value=(value, "L T F"))
    lines, length = query.shape[:2]

    def heads(array):  # [L, T, N D] -> [L N, T, D]
        parted = array.reshape(*array.shape[:2], num_heads, -1).swapaxes(1, 2)
        return parted.reshape(-1, *parted.shape[2:])

    @jax.checkpoint
    def attend(query, value, table):
        by_line = jax.vmap(relative_attention, in_axes=(0, 0, None))
        out = by_line(heads(query), heads(value), table)
        out = out.reshape(-1, num_heads, *out.shape[1:])
        return out.swapaxes(1, 2).reshape(value.shape)

    size = 4 * num_heads * lines * length * length
    parts = min(lines, -(-size // tile_bytes))
    return in_parts(attend, query, value, table, parts)
