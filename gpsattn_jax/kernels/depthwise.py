"""Depthwise convolution, each channel by itself, with shared or per-example filters."""

import functools

import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import accumulator


def depthwise_conv(
    x: jax.Array,
    filters: jax.Array,
    *,
    stride: int = 1,
    padding: int | None = None,
) -> jax.Array:
    """Convolves each channel with its own filter: PyTorch's conv2d with groups=C.

    A cross-correlation with zeros around the map. Reverse mode only.

    Args:
        x: [B, H, W, C].
        filters: [K, K, C], shared by all examples, or [B, K, K, C], one set for each.
        stride: of rows and columns.
        padding: zeros on each of the four sides; K // 2 by default.

    Returns:
        [B, H', W', C] in x's dtype, H' = (H + 2 padding - K) // stride + 1; sums are
        kept in float32 at least.

    Raises:
        ValueError: if the shapes do not fit, or the padded map is smaller than the
            filter.
    """
    if filters.ndim not in (3, 4):
        raise ValueError(
            f"filters must be [K, K, C] or [B, K, K, C]; got {filters.shape}."
        )
    axes = "K K C" if filters.ndim == 3 else "B K K C"
    check_shapes(x=(x, "B H W C"), filters=(filters, axes))
    size = filters.shape[-2]
    padding = size // 2 if padding is None else padding
    rows, columns = (n + 2 * padding for n in x.shape[1:3])
    if min(rows, columns) < size:
        raise ValueError(
            f"x must be at least {size} x {size} with its padding; "
            f"got {rows} x {columns}."
        )
    return _depthwise(x, filters, stride, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise(x, filters, stride, padding):
    wide = accumulator(x)
    if filters.ndim == 3:
        filters = filters[None]
    size = filters.shape[1]
    around = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    x = jnp.pad(x, around)
    rows, columns = ((n - size) // stride + 1 for n in x.shape[1:3])
    out = 0
    for i in range(size):
        for j in range(size):
            seen = x[
                :,
                i : i + (rows - 1) * stride + 1 : stride,
                j : j + (columns - 1) * stride + 1 : stride,
            ]
            out = out + seen.astype(wide) * filters[:, i, j][:, None, None].astype(wide)
    return out.astype(x.dtype)


def _forward(x, filters, stride, padding):
    return _depthwise(x, filters, stride, padding), (x, filters)


def _backward(stride, padding, residuals, cotangent):
    x, filters = residuals
    return (
        _input_gradient(cotangent, filters, x, stride, padding),
        _filter_gradient(cotangent, filters, x, stride, padding),
    )


def _input_gradient(cotangent, filters, x, stride, padding):
    wide = accumulator(x)
    if filters.ndim == 3:
        filters = filters[None]
    size, (batch, height, width, channels) = filters.shape[1], x.shape
    reach = -(-size // stride)
    rows, columns = (-(-(n + 2 * padding) // stride) for n in (height, width))
    filled = reach * stride - size
    blocks = jnp.pad(filters, [(0, 0), (0, filled), (0, filled), (0, 0)])
    blocks = blocks.reshape(-1, reach, stride, reach, stride, channels).astype(wide)
    after = [(reach - 1, n - m) for n, m in zip((rows, columns), cotangent.shape[1:3])]
    cotangent = jnp.pad(cotangent, [(0, 0), *after, (0, 0)]).astype(wide)
    out = 0
    for i in range(reach):
        for j in range(reach):
            a, b = reach - 1 - i, reach - 1 - j
            seen = cotangent[:, a : a + rows, b : b + columns]
            tap = blocks[:, i, :, j][:, None, :, None]
            out = out + seen[:, :, None, :, None] * tap
    out = out.reshape(batch, rows * stride, columns * stride, channels)
    out = out[:, padding : padding + height, padding : padding + width]
    return out.astype(x.dtype)


def _filter_gradient(cotangent, filters, x, stride, padding):
    wide = accumulator(x)
    size = filters.shape[-2]
    rows, columns = cotangent.shape[1:3]
    around = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    x = jnp.pad(x, around)

    def one(image, slope):
        slope = slope.astype(wide)
        taps = [
            jnp.sum(
                image[
                    i : i + (rows - 1) * stride + 1 : stride,
                    j : j + (columns - 1) * stride + 1 : stride,
                ].astype(wide)
                * slope,
                axis=(0, 1),
            )
            for i in range(size)
            for j in range(size)
        ]
        return jnp.stack(taps).reshape(size, size, -1)

    if filters.ndim == 4:
        out = jax.lax.map(lambda pair: one(*pair), (x, cotangent))
    else:
        start = jnp.zeros(filters.shape, wide)
        out = jax.lax.scan(
            lambda total, pair: (total + one(*pair), None), start, (x, cotangent)
        )[0]
    return out.astype(filters.dtype)


_depthwise.defvjp(_forward, _backward)
