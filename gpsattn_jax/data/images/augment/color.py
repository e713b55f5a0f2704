"""Augmentations of colour: factors for each image, and colour jitter that draws them.

Images are [B, H, W, C] in 0..1, C = 1 or 3, and stay in 0..1; factors are [B].
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

_GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's


def brightness(images: jax.Array, factor: jax.Array) -> jax.Array:
    """0 is black, 1 the image."""
    return _blend(jnp.zeros_like(images), images, factor)


def contrast(images: jax.Array, factor: jax.Array) -> jax.Array:
    """0 is the image's mean grey, 1 the image."""
    return _blend(grey(images).mean((1, 2, 3), keepdims=True), images, factor)


def saturation(images: jax.Array, factor: jax.Array) -> jax.Array:
    """0 is grey, 1 the image; grey images stay."""
    return _blend(grey(images), images, factor)


def hue(images: jax.Array, turn: jax.Array) -> jax.Array:
    """Turns the colours round their circle, 1 being once round; grey images stay."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = (images[..., i] for i in range(3))
    value, least = images.max(axis=-1), images.min(axis=-1)
    span = value - least
    safe = jnp.where(span > 0, span, 1)
    sixths = jnp.select(
        [value == red, value == green],
        [(green - blue) / safe, 2 + (blue - red) / safe],
        4 + (red - green) / safe,
    )
    turned = sixths + 6 * turn.reshape(-1, 1, 1)
    # Each channel is a trapezoid over the circle: Smith 1978, written without cases.
    place = jnp.stack([turned + 5, turned + 3, turned + 1], axis=-1)
    place -= 6 * jnp.floor(place / 6)  # on a CPU ten times as fast as %
    share = jnp.clip(jnp.minimum(place, 4 - place), 0, 1)
    return value[..., None] - span[..., None] * share


def color_jitter(
    images: jax.Array, key: jax.Array, *, strengths: Sequence[float]
) -> jax.Array:
    """Random brightness, contrast, saturation and hue, in an order of each image's own.

    Args:
        images: [B, H, W, C] in 0..1.
        key: random key.
        strengths: of the four. The first three draw a factor from [1 - s, 1 + s], not
            below 0; hue draws a turn from [-s, s], s being 0.5 at most.

    Returns:
        [B, H, W, C] in 0..1.
    """
    steps = [step for step, s in enumerate(strengths) if s]
    if not steps:
        return images
    size = images.shape[0]
    shuffling, drawing = jax.random.split(key)
    orders = jax.vmap(lambda key: jax.random.permutation(key, len(steps)))(
        jax.random.split(shuffling, size)
    )
    draws = jax.random.uniform(drawing, (len(steps), size), minval=-1)
    for turn in range(len(steps)):
        results = [
            _jitter(step, images, draw * strengths[step])
            for step, draw in zip(steps, draws, strict=True)
        ]
        chosen = orders[:, turn].reshape(-1, 1, 1, 1)
        images = jnp.select([chosen == i for i in range(len(steps))], results)
    return images


def grey(images: jax.Array) -> jax.Array:
    """[…, C] -> […, 1]."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = jnp.split(images, 3, axis=-1)
    weights = _GREY_WEIGHTS
    return weights[0] * red + weights[1] * green + weights[2] * blue


def _jitter(step, images, draw):
    if step == 3:
        return hue(images, draw)
    change = (brightness, contrast, saturation)[step]
    return change(images, jnp.maximum(1 + draw, 0))


def _blend(degenerate, images, factor):
    factor = factor.reshape(-1, 1, 1, 1)
    return jnp.clip(degenerate + factor * (images - degenerate), 0, 1)
