"""Softmax attention over a map, with a learned number for each offset (CoAtNet)."""

import chex

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.relative import relative_keys
from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import attend


def grid_attention(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    table: chex.Array,
    *,
    shape: tuple[int, int],
    scale: float | None = None,
) -> chex.Array:
    """Attention over the pixels of a map whose logits know their offsets.

    softmax(scale * query key^T + table[offset]) value: what a depthwise convolution and
    self-attention have in common. CoAtNet (arXiv 2106.04803), equation 3 ("pre").

    Args:
        query: [T, D], pixels row after row, T = H W.
        key: [T, D].
        value: [T, E].
        table: [Rh, Rw], both odd; see `grid_bias`.
        shape: (H, W).
        scale: factor on the logits; 1/sqrt(D) by default.

    Returns:
        [T, E] in value's dtype.

    Raises:
        ValueError: if the shapes do not fit, or an axis of the table is even.
    """
    check_shapes(query=(query, "T D"), key=(key, "T D"), value=(value, "T E"))
    check_pixels("query", query, shape)
    table = as_floating(table)
    bias = grid_bias(table.astype(accumulator(table)), shape=shape)
    return attend(query, key, value, bias, scale=scale)


def grid_bias(table: chex.Array, *, shape: tuple[int, int]) -> chex.Array:
    """A learned number for each offset on a map: [Rh, Rw] -> [T, S], T = S = H W.

    Added to the logits of one head, as in Swin Transformer (arXiv 2103.14030, equation
    4; within one window there) and CoAtNet. Tables in PyTorch count offsets from key to
    query, which is ours turned around in both axes.

    Args:
        table: [Rh, Rw], both odd; the middle is offset zero, and rows and columns are
            the key's place less the query's. Offsets outside it add 0.
        shape: (H, W) of the map.

    Returns:
        [H W, H W] in the table's dtype.

    Raises:
        ValueError: if an axis of the table is even.
    """
    check_shapes(table=(table, "Rh Rw"))
    return grid_keys(table[..., None], shape)[..., 0]


def grid_keys(table: chex.Array, shape: tuple[int, int]) -> chex.Array:
    """The table laid out by (query, key): [Rh, Rw, D] -> [T, S, D], T = S = H W.

    Args:
        table: [Rh, Rw, D], both odd; the middle is offset zero.
        shape: (H, W) of the map.

    Returns:
        [H W, H W, D], zero outside the table.

    Raises:
        ValueError: if an axis of the table is even.
    """
    height, width = shape
    reach, breadth, channels = table.shape
    rows = relative_keys(table.reshape(reach, breadth * channels), height)
    columns = rows.reshape(height * height, breadth, channels).transpose(1, 0, 2)
    columns = columns.reshape(breadth, height * height * channels)
    keys = relative_keys(columns, width)  # [W, W, H H D]
    keys = keys.reshape(width, width, height, height, channels)
    pixels = height * width
    return keys.transpose(2, 0, 3, 1, 4).reshape(pixels, pixels, channels)


def check_pixels(name: str, pixels: chex.Array, shape: tuple[int, int]) -> None:
    """Raises ValueError if there are not H W pixels."""
    height, width = shape
    if len(pixels) != height * width:
        raise ValueError(
            f"{name} must have the {height} x {width} = {height * width} pixels of the "
            f"map; got {len(pixels)}."
        )
