"""Image augmentations: pure functions of (images, key), batched, on the device."""

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
