"""Augmentations that draw a box in each image: random resized crop, random erasing.

Pure functions of (images [B, H, W, C] in 0..1, key), on the device.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gpsattn_jax.data.images.random_box import (
    TRIES,
    box_sizes,
    random_box,
    random_corner,
)

_KERNELS = {"bilinear": "linear", "bicubic": "cubic"}


def random_resized_crop(
    images: jax.Array,
    key: jax.Array,
    *,
    scale: Sequence[float] = (0.08, 1.0),
    ratio: Sequence[float] = (3 / 4, 4 / 3),
    method: str = "bilinear",
) -> jax.Array:
    """Cuts out a box and scales it to the old size, antialiased (Szegedy et al. 2014).

    Args:
        images: [B, H, W, C].
        key: random key.
        scale: range of the box's share of the area, uniform.
        ratio: range of the box's width divided by its height, uniform in its logarithm.
        method: bilinear or bicubic.

    Returns:
        [B, H, W, C]. Where no box of `TRIES` fits the image it is the largest one in
        the middle whose sides are in `ratio`.
    """
    count, height, width, _ = images.shape
    draws = jax.random.uniform(key, (count, 2, TRIES + 1))
    boxes = jax.vmap(lambda draw: random_box(draw, height, width, scale, ratio))(draws)
    return jnp.clip(resized_crop(images, boxes, method=method), 0, 1)


def resized_crop(images: jax.Array, boxes: jax.Array, *, method: str) -> jax.Array:
    """Boxes of images, scaled to the images' size with antialiasing.

    Args:
        images: [B, H, W, C].
        boxes: [B, (top, left, height, width)].
        method: bilinear or bicubic.

    Returns:
        [B, H, W, C].
    """

    def one(image, box):
        factor = jnp.array(image.shape[:2]) / box[2:]
        return jax.image.scale_and_translate(
            image, image.shape, (0, 1), factor, -box[:2] * factor, _KERNELS[method]
        )

    return jax.vmap(one)(images, boxes.astype(images.dtype))


def random_erase(
    images: jax.Array,
    key: jax.Array,
    *,
    probability: float,
    area: Sequence[float] = (0.02, 1 / 3),
    ratio: Sequence[float] = (0.3, 10 / 3),
    mode: str = "noise",
) -> jax.Array:
    """Covers a random box of an image (Zhong et al. 2017).

    Args:
        images: [B, H, W, C] in 0..1.
        key: random key.
        probability: of an image being covered.
        area: range of the box's share of the area, uniform.
        ratio: range of the box's height divided by its width, uniform in its logarithm.
        mode: what covers it: "noise", "zero" or the image's "mean" colour. Noise is
            normal with mean 0.5 and deviation 0.25, clipped, for each value; timm
            draws standard normal values, but after the normalisation.

    Returns:
        [B, H, W, C]. Where none of `TRIES` boxes fits, the image is left as it is.
    """
    deciding, boxing, filling = jax.random.split(key, 3)
    count, height, width, _ = images.shape
    chosen = jax.random.bernoulli(deciding, probability, (count, 1, 1))
    draws = jax.random.uniform(boxing, (count, 2, TRIES + 1))
    inside = jax.vmap(lambda draw: _inside(draw, height, width, area, ratio))(draws)
    if mode == "noise":
        noise = 0.5 + 0.25 * jax.random.normal(filling, images.shape, images.dtype)
        cover = jnp.clip(noise, 0, 1)
    elif mode == "mean":
        cover = images.mean((1, 2), keepdims=True)
    else:
        cover = jnp.zeros_like(images)
    return jnp.where((inside & chosen)[..., None], cover, images)


def _inside(draw, height, width, area, ratio):
    """What one image's box covers: boolean [H, W]."""
    # Width and height change places: here the ratio is height by width.
    columns, rows = box_sizes(draw, height * width, area, ratio)
    fits = (rows < height) & (columns < width)
    first = jnp.argmax(fits)
    sides = jnp.stack([rows[first], columns[first]])
    corner = random_corner(draw, jnp.array([height, width]) - sides)
    row, column = jnp.mgrid[:height, :width] - corner.reshape(2, 1, 1)
    box = (row >= 0) & (row < sides[0]) & (column >= 0) & (column < sides[1])
    return box & fits.any()
