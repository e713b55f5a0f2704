"""Attention by distance alone along one axis (GSA-Net's positional branch)."""

import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import accumulator


def relative_attention(
    query: jax.Array, value: jax.Array, table: jax.Array
) -> jax.Array:
    """Attention by distance alone: weight(t, s) = query[t] . table[s - t].

    Raw signed weights: no softmax, no scale. GSA-Net (arXiv 2010.03019), the column and
    row stages of its positional branch. Axial attention over an image is this kernel
    under `jax.vmap`, down the columns and then along the rows.

    Args:
        query: [T, D].
        value: [T, E].
        table: [R, D], R odd; the middle row is distance zero. Distances outside it
            weigh 0, so that a short table is a local window.

    Returns:
        [T, E] in value's dtype; sums are kept in float32 at least.

    Raises:
        ValueError: if the shapes do not fit or R is even.
    """
    check_shapes(query=(query, "T D"), value=(value, "T E"), table=(table, "R D"))
    scores = relative_weights(query, table)
    out = jnp.matmul(scores, value, preferred_element_type=accumulator(value))
    return out.astype(value.dtype)


def relative_weights(query: jax.Array, table: jax.Array) -> jax.Array:
    """The weights of `relative_attention`: [T, D], [R, D] -> [T, S], S = T.

    They are float32 at least, as `relative_attention` uses them.

    Raises:
        ValueError: if the shapes do not fit or R is even.
    """
    check_shapes(query=(query, "T D"), table=(table, "R D"))
    keys = relative_keys(table, query.shape[0])
    return jnp.einsum(
        "td,tsd->ts", query, keys, preferred_element_type=accumulator(query)
    )


def relative_keys(table: jax.Array, length: int) -> jax.Array:
    """The table laid out by (query, key): [R, D] -> [T, T, D], zero outside the table.

    Raises:
        ValueError: if R is even, so that no row is distance zero.
    """
    if table.shape[0] % 2 == 0:
        raise ValueError(
            "table must be [R, D] with R odd (distances -r..r, the middle row zero); "
            f"got {table.shape}."
        )
    reach, farthest = table.shape[0] // 2, length - 1
    outside = max(farthest - reach, 0)
    rows = jnp.pad(table, ((outside, outside), (0, 0)))
    middle = rows.shape[0] // 2
    rows = rows[middle - farthest : middle + length]  # distances -farthest..farthest
    # Query t sees rows[farthest - t :][:length]. Copies of the rows, read in lines one
    # longer, begin one place later each: no gather, so no scatter in the backward pass.
    width = len(rows) + 1
    copies = jnp.broadcast_to(rows, (length + 1, *rows.shape)).reshape(
        -1, rows.shape[1]
    )
    shifted = copies[: length * width].reshape(length, width, -1)
    return shifted[::-1, :length]
