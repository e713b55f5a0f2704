"""What one pixel attends to in a GSA module, for pictures."""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels import content_weights
from gpsattn_jax.kernels.relative import relative_keys
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention


def attention_maps(
    module: GlobalSelfAttention, x: chex.Array, row: int, column: int
) -> dict[str, chex.Array]:
    """The weights of one pixel's queries; beyond the projections O(H W D) work.

    Args:
        module: whose weights.
        x: [B, H, W, C], as the module is called with.
        row: the pixel's row.
        column: the pixel's column.

    Returns:
        "content" [B, N, H, W], "column" [B, N, H] (the weights of the pixel's own
        column), "row" [B, N, W] and "position" [B, N, H, W], what row and column stage
        together give a value before the norm between them. Branches that are off are
        left out. All weights are signed.
    """
    query = module.query(x)
    pixel = query[:, row, column]  # [B, N, D]
    found = {}
    if module.key is not None:
        key = module.key(x).reshape(x.shape[0], -1, *pixel.shape[1:])
        own = jax.nn.softmax(pixel, axis=-1) if module.query_softmax else pixel
        per_head = jax.vmap(content_weights, in_axes=1, out_axes=1)
        weights = jax.vmap(per_head)(own[:, None], key)  # [B, 1, N, H W]
        found["content"] = weights[:, 0].reshape(*pixel.shape[:2], *x.shape[1:3])
    if module.row_table is not None:
        found["row"] = _of_place(query[:, row], module.row_table[...], column)
    if module.column_table is not None:
        lines = jax.vmap(_of_place, in_axes=(2, None, None), out_axes=-1)
        columns = lines(query, module.column_table[...], row)  # [B, N, H, W]
        found["column"] = columns[..., column]
        if "row" in found:
            found["position"] = columns * found["row"][:, :, None]
    return found


def _of_place(query, table, place):
    """Relative weights of one place of a line: [B, T, N, D], [R, D] -> [B, N, T]."""
    keys = relative_keys(table, query.shape[1])[place]  # [T, D]
    return jnp.einsum("bnd,td->bnt", query[:, place], keys)
