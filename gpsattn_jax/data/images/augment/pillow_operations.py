"""RandAugment's operations on one image, as Pillow computes them.

Levels are float32 [H, W, C] of whole numbers in 0..255, C = 1 (grey) or 3 (RGB), as are
all results: Pillow works on bytes, and cuts fractions off more often than it rounds.
"""

import jax
import jax.numpy as jnp

GREY = 128.0  # what stands outside a moved image
HAIR = 1e-4  # of a pixel


def autocontrast(levels: jax.Array) -> jax.Array:
    """Stretches each channel to 0..255; a channel of one level stays."""
    low = levels.min(axis=(0, 1), keepdims=True)
    span = levels.max(axis=(0, 1), keepdims=True) - low
    stretched = jnp.floor(255 * (levels - low) / jnp.maximum(span, 1))
    return jnp.where(span > 0, stretched, levels)


def equalize(levels: jax.Array) -> jax.Array:
    """Spreads each channel's levels so that all become about equally frequent."""
    return jax.vmap(_equalize_channel, -1, -1)(levels)


def invert(levels: jax.Array) -> jax.Array:
    """Swaps dark and bright."""
    return 255 - levels


def posterize(levels: jax.Array, bits: jax.Array) -> jax.Array:
    """Keeps the highest bits, 1 to 8 of them."""
    step = jnp.left_shift(1, 8 - bits.astype(jnp.int32))
    return step * jnp.floor(levels / step)


def solarize(levels: jax.Array, threshold: jax.Array) -> jax.Array:
    """Inverts the levels from the threshold on."""
    return jnp.where(levels < threshold, levels, 255 - levels)


def solarize_add(levels: jax.Array, added: jax.Array) -> jax.Array:
    """Brightens the darker half of the levels by `added`."""
    return jnp.where(levels < 128, jnp.minimum(levels + added, 255), levels)


def color(levels: jax.Array, factor: jax.Array) -> jax.Array:
    """Saturation: 0 is grey, 1 the image, more is gaudy."""
    return _blend(_grey(levels), levels, factor)


def contrast(levels: jax.Array, factor: jax.Array) -> jax.Array:
    """0 is the mean grey, 1 the image."""
    return _blend(jnp.floor(_grey(levels).mean() + 0.5), levels, factor)


def brightness(levels: jax.Array, factor: jax.Array) -> jax.Array:
    """0 is black, 1 the image."""
    return _blend(jnp.zeros(()), levels, factor)


def sharpness(levels: jax.Array, factor: jax.Array) -> jax.Array:
    """0 is a blurred image, 1 the image, more is sharper."""
    height, width = levels.shape[:2]
    around = jnp.pad(levels, ((1, 1), (1, 1), (0, 0)))
    down = around[:-2] + around[1:-1] + around[2:]
    sums = down[:, :-2] + down[:, 1:-1] + down[:, 2:] + 4 * levels
    row, column = jnp.mgrid[:height, :width]
    inner = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    # Pillow leaves a border of one pixel as it is.
    smooth = jnp.where(inner[..., None], jnp.floor(sums / 13 + 0.5), levels)
    return _blend(smooth, levels, factor)


def warp(levels: jax.Array, matrix: jax.Array) -> jax.Array:
    """Moves pixels by an affine map, bilinear, grey outside.

    Args:
        levels: [H, W, C].
        matrix: [2, 3]; (x, y, 1) of a pixel's centre -> (x, y) where it comes from, in
            pixels from the image's left upper corner.
    """
    height, width, channels = levels.shape
    down, right = jnp.mgrid[:height, :width] + 0.5
    x = matrix[0, 0] * right + matrix[0, 1] * down + matrix[0, 2]
    y = matrix[1, 0] * right + matrix[1, 1] * down + matrix[1, 2]
    # A hair's breadth keeps what comes from the very edge on its side, in float32.
    inside = (x >= -HAIR) & (x < width - HAIR) & (y >= -HAIR) & (y < height - HAIR)
    left, top = jnp.floor(x - 0.5), jnp.floor(y - 0.5)
    across, along = (x - 0.5 - left)[..., None], (y - 0.5 - top)[..., None]
    columns = [jnp.clip(left + i, 0, width - 1).astype(int) for i in (0, 1)]
    rows = [jnp.clip(top + i, 0, height - 1).astype(int) for i in (0, 1)]
    flat = levels.reshape(height * width, channels)
    upper, lower = (
        _between(flat[row * width + columns[0]], flat[row * width + columns[1]], across)
        for row in rows
    )
    moved = jnp.floor(_between(upper, lower, along))
    return jnp.where(inside[..., None], moved, GREY)


def rotation(degrees: jax.Array, height: int, width: int) -> jax.Array:
    """The matrix of `warp` that turns an image about its centre, anticlockwise.

    Args:
        degrees: the angle.
        height: of the image.
        width: of the image.

    Returns:
        [2, 3].
    """
    angle = jnp.deg2rad(degrees)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    x, y = width / 2, height / 2
    return jnp.array(
        [
            [cosine, -sine, x - cosine * x + sine * y],
            [sine, cosine, y - sine * x - cosine * y],
        ]
    )


def _between(start, end, share):
    return start + (end - start) * share


def _blend(degenerate, levels, factor):
    """From the degenerate image (0) to the image (1) and beyond, fractions cut off."""
    return jnp.floor(jnp.clip(degenerate + factor * (levels - degenerate), 0, 255))


def _grey(levels):
    """[H, W, 1] grey, in the whole-numbered weights of Pillow's conversion."""
    if levels.shape[-1] == 1:
        return levels
    red, green, blue = jnp.split(levels.astype(jnp.int32), 3, axis=-1)
    total = 19595 * red + 38470 * green + 7471 * blue + 0x8000
    return (total >> 16).astype(levels.dtype)


def _equalize_channel(plane):
    counts = jnp.zeros(256, jnp.int32).at[plane.astype(jnp.int32)].add(1)
    # Pillow's step leaves the brightest level out of the count.
    step = (plane.size - counts[plane.max().astype(jnp.int32)]) // 255
    before = jnp.cumsum(counts) - counts
    table = (step // 2 + before) // jnp.maximum(step, 1)
    table = jnp.where(step > 0, jnp.minimum(table, 255), jnp.arange(256))
    return table.astype(plane.dtype)[plane.astype(jnp.int32)]
