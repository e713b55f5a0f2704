"""Mixup and cutmix: each image of a batch is mixed with a partner, and so is its label.

The partner is the batch read backwards, and one share serves the whole batch, as in the
timm package.
"""

import functools

import jax
import jax.numpy as jnp


def mix(
    images: jax.Array,
    weights: jax.Array,
    key: jax.Array,
    *,
    mixup_alpha: float = 0.0,
    cutmix_alpha: float = 0.0,
    probability: float = 1.0,
    switch_probability: float = 0.5,
) -> tuple[jax.Array, jax.Array]:
    """Mixup or cutmix, drawn for the batch.

    Args:
        images: [B, H, W, C].
        weights: [B, classes], the labels; their rows sum to one.
        key: random key.
        mixup_alpha: the share is Beta(alpha, alpha) distributed; 0 for no mixup.
        cutmix_alpha: likewise for cutmix.
        probability: of the batch being mixed at all.
        switch_probability: of cutmix, where both are on.

    Returns:
        images and weights, mixed alike.
    """
    deciding, switching, mixing = jax.random.split(key, 3)
    blend = functools.partial(mixup, alpha=mixup_alpha)
    paste = functools.partial(cutmix, alpha=cutmix_alpha)

    def chosen(images, weights, key):
        if not (mixup_alpha and cutmix_alpha):
            return (paste if cutmix_alpha else blend)(images, weights, key)
        cutting = jax.random.bernoulli(switching, switch_probability)
        return jax.lax.cond(cutting, paste, blend, images, weights, key)

    def neither(images, weights, key):
        return images, weights

    if not (mixup_alpha or cutmix_alpha):
        return images, weights
    mixed = jax.random.bernoulli(deciding, probability)
    return jax.lax.cond(mixed, chosen, neither, images, weights, mixing)


def mixup(
    images: jax.Array, weights: jax.Array, key: jax.Array, *, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """An image and its partner, share : 1 - share (Zhang et al. 2017).

    Args:
        images: [B, H, W, C].
        weights: [B, classes].
        key: random key.
        alpha: the share is Beta(alpha, alpha) distributed.
    """
    share = jax.random.beta(key, alpha, alpha)
    mixed = _between(images[::-1], images, share)
    return mixed, _between(weights[::-1], weights, share)


def cutmix(
    images: jax.Array, weights: jax.Array, key: jax.Array, *, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """A box of the partner, and its share of the pixels in the label (Yun et al. 2019).

    Args:
        images: [B, H, W, C].
        weights: [B, classes].
        key: random key.
        alpha: the area outside the box, before it is cut at the image's edge, has a
            Beta(alpha, alpha) distributed share.
    """
    sharing, placing = jax.random.split(key)
    sides = jnp.array(images.shape[1:3])
    share = jax.random.beta(sharing, alpha, alpha)
    half = jnp.floor(sides * jnp.sqrt(1 - share)) // 2
    center = jax.random.randint(placing, (2,), 0, sides)
    distance = jnp.mgrid[: images.shape[1], : images.shape[2]] - center.reshape(2, 1, 1)
    inside = (distance >= -half.reshape(2, 1, 1)) & (distance < half.reshape(2, 1, 1))
    box = inside.all(axis=0)
    mixed = jnp.where(box[None, :, :, None], images[::-1], images)
    return mixed, _between(weights[::-1], weights, 1 - box.mean())


def _between(start, end, share):
    return start + share * (end - start)
