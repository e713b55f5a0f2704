"""Attention by distance alone along one axis (GSA-Net's positional branch)."""

import chex
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_shapes


def relative_attention(
    query: chex.Array, value: chex.Array, table: chex.Array
) -> chex.Array:
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
    value = as_floating(value)
    scores = relative_weights(query, table)
    out = jnp.matmul(scores, value, preferred_element_type=accumulator(value))
    return out.astype(value.dtype)


def relative_weights(query: chex.Array, table: chex.Array) -> chex.Array:
    """The weights of `relative_attention`: [T, D], [R, D] -> [T, S], S = T.

    Args:
        query: [T, D].
        table: [R, D], R odd; see `relative_attention`.

    Returns:
        [T, T], float32 at least, as `relative_attention` uses them.

    Raises:
        ValueError: if the shapes do not fit or R is even.
    """
    check_shapes(query=(query, "T D"), table=(table, "R D"))
    query, table = as_floating(query, table)
    keys = relative_keys(table, query.shape[0])
    return jnp.einsum(
        "td,tsd->ts", query, keys, preferred_element_type=accumulator(query)
    )


def relative_keys(table: chex.Array, length: int) -> chex.Array:
    """The table laid out by (query, key): [R, D] -> [T, T, D], zero outside the table.

    Args:
        table: [R, D], R odd; the middle row is distance zero.
        length: T.

    Raises:
        ValueError: if R is even, so that no row is distance zero.
    """
    if table.shape[0] % 2 == 0:
        raise ValueError(
            "table must be [R, D] with R odd (distances -r..r, the middle row zero); "
            f"got {table.shape}."
        )
    if length == 0:
        return jnp.zeros((0, 0, table.shape[1]), table.dtype)
    reach, farthest = table.shape[0] // 2, length - 1
    outside = max(farthest - reach, 0)
    rows = jnp.pad(table, ((outside, outside), (0, 0)))
    middle = rows.shape[0] // 2
    rows = rows[middle - farthest : middle + length]  # distances -farthest..farthest
    # Query t sees rows[farthest - t :][:length]. Copies of the rows, read in lines one
    # longer, begin one place later each: no gather, so no scatter in the backward pass.
    width = len(rows) + 1
    channels = rows.shape[1]
    copies = jnp.broadcast_to(rows, (length + 1, *rows.shape))
    copies = copies.reshape((length + 1) * len(rows), channels)
    shifted = copies[: length * width].reshape(length, width, channels)
    return shifted[::-1, :length]
