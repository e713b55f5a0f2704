"""Depthwise convolution, each channel by itself, with shared or per-example filters.

XLA's grouped convolution is slow on CPUs. Here all is sums of shifted products, whose
taps stand in one expression: XLA fuses them into one pass over the result.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.kernels.dtypes import accumulator, as_floating, vary_alike
from gpsattn_jax.kernels.row_sums import sum_of_rows
from gpsattn_jax.kernels.shapes import check_least, check_shapes
from gpsattn_jax.platforms import known_platform

TILE = 8  # The filters' gradient sums at most so many rows and columns in one go.


def depthwise_conv(
    x: chex.Array,
    filters: chex.Array,
    *,
    stride: int = 1,
    padding: int | None = None,
) -> chex.Array:
    """Convolves each channel with its own filter: PyTorch's conv2d with groups=C.

    A cross-correlation with zeros around the map (MobileNets, arXiv 1704.04861; with a
    filter for each example as in TransXNet, arXiv 2310.19380, equation 4). It can be
    differentiated in reverse mode, and its gradient again in both (`grad`, `vjp`,
    `jacrev`, `hessian`); forward mode first (`jvp`, `linearize`, `jacfwd`) raises a
    TypeError.

    Args:
        x: [B, H, W, C].
        filters: [K, K, C], shared by all examples, or [B, K, K, C], one set for each.
        stride: of rows and columns.
        padding: zeros on each of the four sides; K // 2 by default.

    Returns:
        [B, H', W', C] in x's dtype, H' = (H + 2 padding - K) // stride + 1; sums are
        kept in float32 at least.

    Raises:
        ValueError: if the shapes do not fit, the padded map is smaller than the filter,
            or a number is too small.
    """
    if filters.ndim not in (3, 4):
        raise ValueError(
            f"filters must be [K, K, C] or [B, K, K, C]; got {filters.shape}."
        )
    axes = "K K C" if filters.ndim == 3 else "B K K C"
    check_shapes(x=(x, "B H W C"), filters=(filters, axes))
    size = filters.shape[-2]
    padding = size // 2 if padding is None else padding
    check_least(1, stride=stride, K=size)
    check_least(0, padding=padding)
    x, filters = vary_alike(*as_floating(x, filters))
    rows, columns = (length + 2 * padding for length in x.shape[1:3])
    if min(rows, columns) < size:
        raise ValueError(
            f"filters of {size} x {size} need a map of that size at the least; "
            f"x with its padding is {rows} x {columns}."
        )
    if not x.shape[-1]:
        lengths = ((length - size) // stride + 1 for length in (rows, columns))
        return jnp.zeros((len(x), *lengths, 0), x.dtype)
    if filters.ndim == 4 and known_platform() == "onnx":
        return _products_of_windows(x, filters, stride, padding)
    return _depthwise(x, filters, (stride, padding), known_platform())


# Jitted, so that a network traces each of its shapes once; XLA sees through it.
@functools.partial(jax.jit, static_argnums=(2, 3))
def _convolve(x, filters, geometry, platform):
    return _by_platform(
        platform, _shifted_products, _grouped_conv, geometry, x, filters
    )


_depthwise = jax.custom_vjp(_convolve, nondiff_argnums=(2, 3))


def _forward(x, filters, geometry, platform):
    return _convolve(x, filters, geometry, platform), (x, filters)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _backward(geometry, platform, residuals, slope):
    on_cpu, elsewhere = _gradients_of_products, _gradients_of_conv
    return _by_platform(platform, on_cpu, elsewhere, geometry, *residuals, slope)


_depthwise.defvjp(_forward, _backward)


def _by_platform(platform, on_cpu, elsewhere, geometry, *arrays):
    """The one place that tells processors apart.

    No accelerator has measured the choice yet: what stands in for them is cuDNN's
    convolution, and no loop of small steps. `python3 dev.py bench --accelerator`
    measures all forms on the card at hand (rows "depthwise …", others / ours); where
    another form is ahead of ours there, it belongs here, as "cuda" (for `platform`,
    "gpu") or "tpu".
    """
    stride, padding = geometry
    forms = {
        name: functools.partial(form, stride=stride, padding=padding)
        for name, form in (("cpu", on_cpu), ("default", elsewhere))
    }
    if platform is None:
        return jax.lax.platform_dependent(*arrays, **forms)
    return forms.get(platform, forms["default"])(*arrays)


def _gradients_of_products(x, filters, slope, stride, padding):
    """Of x and of the filters, by sums of shifted products."""
    tiled = filters.shape[-2] > 1
    of_filters = _filter_gradient_by_tile if tiled else _filter_gradient_of_one_tap
    return (
        _input_gradient(slope, filters, x.shape[1:3], stride, padding),
        of_filters(x, filters, slope, stride, padding),
    )


def _gradients_of_conv(x, filters, slope, stride, padding):
    """Of x and of the filters, by XLA's own convolutions."""

    def convolve(x, filters):
        return _grouped_conv(x, filters, stride, padding, accumulate=False)

    return jax.vjp(convolve, x, filters.astype(x.dtype))[1](slope)


def _shifted_products(x, filters, stride, padding):
    """The sum of K K shifted products."""
    wide, size = accumulator(x), filters.shape[-2]
    taps = _taps(filters.astype(wide))
    x = _pad(x, padding, [length + padding for length in x.shape[1:3]])
    lengths = [(length - size) // stride + 1 for length in x.shape[1:3]]

    def term(i, j):
        window = _window(x, i, j, lengths, stride, wide)
        return jax.lax.mul(window, _along(taps[i * size + j], window))

    return _sum(term, size, size).astype(x.dtype)


def _products_of_windows(x, filters, stride, padding):
    """All windows at once, times each example's filters.

    For ONNX: its convolutions have the same filters for all examples, and K K products
    would be as many entries of the file.
    """
    size = filters.shape[-2]
    wide = _pad(x, padding, [length + padding for length in x.shape[1:3]])
    for axis in (1, 3):  # [B, H, W, C] -> [B, K, H', K, W', C]
        count = (wide.shape[axis] - size) // stride + 1
        places = np.arange(size)[:, None] + stride * np.arange(count)
        wide = jnp.take(wide, places, axis=axis, mode="clip")
    products = wide.astype(accumulator(x)) * filters[:, :, None, :, None]
    return products.sum((1, 3)).astype(x.dtype)


def _grouped_conv(x, filters, stride, padding, *, accumulate=True):
    """XLA's own convolution."""
    if filters.ndim == 4:
        each = functools.partial(
            _grouped_conv, stride=stride, padding=padding, accumulate=accumulate
        )
        return jax.vmap(each)(x[:, None], filters)[:, 0]
    out = jax.lax.conv_general_dilated(
        x,
        filters.astype(x.dtype)[:, :, None],
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
        preferred_element_type=accumulator(x) if accumulate else None,
    )
    return out.astype(x.dtype)


def _input_gradient(slope, filters, shape, stride, padding):
    """A sum of shifted products again, of the output's slope and the turned filters.

    The padded map is split into cells of stride x stride pixels. All pixels of a cell
    see the same few outputs, each with its own tap: pixel a of cell q the outputs q - m
    with taps m stride + a.
    """
    wide, size, channels = accumulator(slope), filters.shape[-2], filters.shape[-1]
    reach = -(-size // stride)  # Outputs that a cell sees, along an axis.
    first = padding // stride  # Cells before that one are padding alone.
    cells = [-(-(padding + length) // stride) - first for length in shape]
    taps = filters.reshape(-1, size, size, channels).astype(wide)
    taps = _pad(taps, 0, [reach * stride] * 2)
    taps = taps.reshape(-1, reach, stride, reach, stride, channels)
    taps = taps[:, ::-1, :, ::-1].swapaxes(2, 3)
    taps = _taps(taps.reshape(-1, reach, reach, stride * stride * channels))
    before = reach - 1 - first
    slope = _pad(slope, before, [cell + reach - 1 - before for cell in cells])

    def term(i, j):
        outputs = _window(slope, i, j, cells, wide=wide)
        tap = taps[i * reach + j]
        if stride == 1:
            return jax.lax.mul(outputs, _along(tap, outputs))
        tap = tap.reshape(-1, 1, stride, 1, stride, channels)
        return outputs[:, :, None, :, None] * tap

    out = _sum(term, reach, reach).astype(slope.dtype)
    out = out.reshape(-1, cells[0] * stride, cells[1] * stride, channels)
    return _window(out, padding - first * stride, padding - first * stride, shape)


def _filter_gradient_by_tile(x, filters, slope, stride, padding):
    """Tile by tile of outputs, each a convolution of x with the slopes for taps.

    The result of a tile is as small as the filters, and its sum is one expression: all
    stays in the cache. XLA writes the products of sums over whole maps to memory, which
    takes ten times as long and longer to compile.
    """
    wide, size, channels = accumulator(x), filters.shape[-2], filters.shape[-1]
    counts = [-(-length // TILE) for length in slope.shape[1:3]]
    tile = [-(-n // count) for n, count in zip(slope.shape[1:3], counts, strict=True)]
    whole = [count * n for count, n in zip(counts, tile, strict=True)]
    slope = _pad(slope, 0, whole)
    x = _pad(x, padding, [(n - 1) * stride + size - padding for n in whole])
    reach = [(n - 1) * stride + size for n in tile]

    def add(step, total):
        image, place = divmod(step, counts[0] * counts[1])
        row, column = (
            n * k for n, k in zip(tile, divmod(place, counts[1]), strict=True)
        )
        start = image, row * stride, column * stride, 0
        patch = jax.lax.dynamic_slice(x, start, (1, *reach, channels))
        taps = jax.lax.dynamic_slice(
            slope, (image, row, column, 0), (1, *tile, channels)
        )
        taps = _taps(taps.astype(wide))

        def term(i, j):
            window = _window(patch, i * stride, j * stride, [size] * 2, wide=wide)
            return jax.lax.mul(window, _along(taps[i * tile[1] + j], window))

        part = _sum(term, *tile)
        mine = image % total.shape[0]  # 0 if all images share one sum
        part += jax.lax.dynamic_slice_in_dim(total, mine, 1)
        return jax.lax.dynamic_update_slice_in_dim(total, part, mine, 0)

    sums = filters.shape[0] if filters.ndim == 4 else 1
    total = jnp.zeros((sums, size, size, channels), wide)
    total, _ = vary_alike(total, x)
    out = jax.lax.fori_loop(0, x.shape[0] * counts[0] * counts[1], add, total)
    return out.reshape(filters.shape).astype(filters.dtype)


def _filter_gradient_of_one_tap(x, filters, slope, stride, padding):
    """Of 1x1 filters, a sum over the whole map."""
    wide, lengths = accumulator(x), slope.shape[1:3]
    x = _pad(x, padding, [length + padding for length in x.shape[1:3]])
    products = _window(x, 0, 0, lengths, stride, wide) * slope.astype(wide)
    maps = len(x) if filters.ndim == 4 else 1
    sums = sum_of_rows(products.reshape(maps, -1, x.shape[-1]))
    return sums.reshape(filters.shape).astype(filters.dtype)


def _sum(term, rows, columns):
    """Sums term(i, j), rows first: a processor works on many short chains at once."""
    return functools.reduce(
        jax.lax.add,
        (
            functools.reduce(jax.lax.add, (term(i, j) for j in range(columns)))
            for i in range(rows)
        ),
    )


def _pad(x, before, ends):
    """Zeros around rows and columns: `before` them, and up to `ends` of the old ones.

    Negative numbers of zeros cut off.
    """
    around = [(before, end - n, 0) for end, n in zip(ends, x.shape[1:3], strict=True)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])


def _window(x, i, j, lengths, stride=1, wide=None):
    """Rows i, i + stride, ... and columns j, j + stride, ... of [B, H, W, C]."""
    rows, columns = ((length - 1) * stride + 1 for length in lengths)
    start, end = (0, i, j, 0), (len(x), i + rows, j + columns, x.shape[-1])
    window = jax.lax.slice(x, start, end, (1, stride, stride, 1))
    return window if wide is None else window.astype(wide)


# Few and plain operations for each tap: a network has tens of thousands to trace.
def _taps(filters):
    """[K, L, C] or [B, K, L, C] -> K L arrays [1 or B, 1, C], rows first."""
    rows, columns, channels = filters.shape[-3:]
    flat = filters.reshape(-1, rows * columns, channels)
    return jax.lax.split(flat, (1,) * (rows * columns), axis=1)


def _along(tap, window):
    """A tap at every pixel of [B, H, W, C]."""
    return jax.lax.broadcast_in_dim(tap, window.shape, (0, 1, 3))
