"""Relative attention along many lines at once: what axial attention is made of."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.relative import relative_attention
from gpsattn_jax.kernels.shapes import check_least, check_shapes


def axial_attention(
    query: chex.Array,
    value: chex.Array,
    table: chex.Array,
    *,
    tile_bytes: int = 1 << 30,
) -> chex.Array:
    """`relative_attention` of many lines that share a table.

    The lines are the columns, then the rows, of all heads and images. This is
    `jax.vmap(relative_attention, (0, 0, None))` with less memory, which is why it must
    see more than one line: the scores are made again in the backward pass, and lines
    are worked off a part at a time.

    Args:
        query: [L, T, D], L lines.
        value: [L, T, E].
        table: [R, D], R odd; see `relative_attention`.
        tile_bytes: scores [lines, T, T] in float32 that may exist at one time.

    Returns:
        [L, T, E] in value's dtype.

    Raises:
        ValueError: if the shapes do not fit, R is even or `tile_bytes` is below 1.
    """
    check_shapes(query=(query, "L T D"), value=(value, "L T E"), table=(table, "R D"))
    check_least(1, tile_bytes=tile_bytes)
    lines, length = query.shape[:2]
    attend = jax.checkpoint(jax.vmap(relative_attention, in_axes=(0, 0, None)))
    parts = min(lines, -(-4 * lines * length * length // tile_bytes))
    return in_parts(attend, query, value, table, parts)


def in_parts(
    attend: Callable[..., chex.Array],
    query: chex.Array,
    value: chex.Array,
    table: chex.Array,
    parts: int,
) -> chex.Array:
    """`attend(query, value, table)`, so many parts of the lines one after the other."""
    if parts <= 1:
        return attend(query, value, table)
    lines = len(query)
    each = -(-lines // parts)
    parts = -(-lines // each)
    filled = [(0, parts * each - lines), (0, 0), (0, 0)]  # the last part is filled up
    split = tuple(
        jnp.pad(a, filled).reshape(parts, each, *a.shape[1:]) for a in (query, value)
    )
    out = jax.lax.map(lambda part: attend(*part, table), split)
    return out.reshape(parts * each, *value.shape[1:])[:lines]
