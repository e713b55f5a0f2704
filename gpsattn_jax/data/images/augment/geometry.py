"""Augmentations that move pixels: random warp, flip, padding and cropping.

Pure functions of (images [B, H, W, C], key), on the device; every image of the batch
draws its own random numbers.
"""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates


def random_affine(
    images: jax.Array,
    key: jax.Array,
    *,
    degrees: float = 0.0,
    zoom: float = 0.0,
    shift: float = 0.0,
    shear: float = 0.0,
) -> jax.Array:
    """A random rotation, zoom, shear and shift of each image, bilinear, zeros outside.

    Args:
        images: [B, H, W, C].
        key: random key.
        degrees: the angle is uniform in [-degrees, degrees].
        zoom: both sides are scaled by one factor in [1 - zoom, 1 + zoom].
        shift: rows and columns move by up to this many pixels.
        shear: columns move by up to this many pixels for each row.

    Returns:
        [B, H, W, C] in images' dtype.
    """
    ranges = jnp.array([[jnp.deg2rad(degrees), zoom, shift, shift, shear]])
    draws = jax.random.uniform(key, (images.shape[0], 5), minval=-1.0) * ranges
    height, width = images.shape[1:3]
    center = jnp.array([(height - 1) / 2, (width - 1) / 2]).reshape(2, 1, 1)
    grid = jnp.stack(jnp.mgrid[:height, :width]) - center

    def warp(image, draw):
        angle, scale, down, right, slope = draw
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        rows = (cosine * grid[0] - sine * grid[1]) / (1 + scale) - down
        columns = (sine * grid[0] + cosine * grid[1]) / (1 + scale) - right
        places = jnp.stack([rows, columns + slope * rows]) + center
        sample = jax.vmap(
            lambda plane: map_coordinates(plane, list(places), order=1), -1, -1
        )
        return sample(image.astype(jnp.float32)).astype(image.dtype)

    return jax.vmap(warp)(images, draws)


def flip(images: jax.Array, key: jax.Array) -> jax.Array:
    """Mirrors left and right in half of the images: [B, H, W, C] -> [B, H, W, C]."""
    chosen = jax.random.bernoulli(key, shape=(images.shape[0], 1, 1, 1))
    return jnp.where(chosen, images[:, :, ::-1], images)


def pad_and_crop(
    images: jax.Array, key: jax.Array, *, pixels: int, mode: str = "zero"
) -> jax.Array:
    """Pads every side and cuts the old size out at a random place.

    Args:
        images: [B, H, W, C].
        key: random key.
        pixels: added on each side.
        mode: what is added: "zero", or "reflect" for the image mirrored at its edge.

    Returns:
        [B, H, W, C].
    """
    around = ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0))
    padded = jnp.pad(images, around, "reflect" if mode == "reflect" else "constant")
    corners = jax.random.randint(key, (images.shape[0], 2), 0, 2 * pixels + 1)

    def cut(image, corner):
        return jax.lax.dynamic_slice(image, (*corner, 0), images.shape[1:])

    return jax.vmap(cut)(padded, corners)
