"""RandAugment (Cubuk et al. 2019), with the operations and ranges of timm."""

import jax
import jax.numpy as jnp

from gpsattn_jax.data.images.augment import pillow_operations as operations

NAMES = (
    "AutoContrast", "Equalize", "Invert", "Posterize", "Solarize", "SolarizeAdd",
    "Color", "Contrast", "Brightness", "Sharpness",
    "Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY",
)  # fmt: skip
_MOVES = NAMES.index("Rotate")  # from here on pixels move


def rand_augment(
    images: jax.Array,
    key: jax.Array,
    *,
    count: int = 2,
    magnitude: float = 9.0,
    std: float = 0.5,
    probability: float = 0.5,
    increasing: bool = True,
) -> jax.Array:
    """Draws operations for each image, with repetition, and does them in turn.

    Args:
        images: [B, H, W, C] in 0..1, C = 1 or 3; rounded to 256 levels first.
        key: random key.
        count: how many operations are drawn for an image.
        magnitude: mean strength, in 0..10.
        std: the strength's standard deviation; it is drawn for each operation.
        probability: of a drawn operation being done.
        increasing: see `operate`.

    Returns:
        [B, H, W, C] in 0..1.
    """
    keys = jax.random.split(key, 4)
    shape = (count, images.shape[0])
    chosen = jax.random.randint(keys[0], shape, 0, len(NAMES))
    done = jax.random.bernoulli(keys[1], probability, shape)
    strength = jnp.clip(magnitude + std * jax.random.normal(keys[2], shape), 0, 10)
    sign = jax.random.rademacher(keys[3], shape, jnp.float32)
    levels = jnp.round(255 * images)
    for step in range(count):
        changed = operate(
            levels, chosen[step], strength[step], sign[step], increasing=increasing
        )
        levels = jnp.where(done[step].reshape(-1, 1, 1, 1), changed, levels)
    return levels / 255


def operate(
    levels: jax.Array,
    chosen: jax.Array,
    magnitude: jax.Array,
    sign: jax.Array,
    *,
    increasing: bool = True,
) -> jax.Array:
    """One operation on each image.

    Args:
        levels: [B, H, W, C], whole numbers in 0..255.
        chosen: places in `NAMES`, int [B].
        magnitude: [B] in 0..10.
        sign: [B], 1 or -1: the direction of a movement or of a change of colour.
        increasing: more magnitude always changes the image more. Otherwise it makes
            posterize and solarize weaker, and the factors of colour, contrast,
            brightness and sharpness rise from 0.1 to 1.9, whatever the sign.

    Returns:
        [B, H, W, C], whole numbers in 0..255.
    """

    def one(levels, chosen, share, sign):
        matrix = _matrices(share * sign, *levels.shape[:2])[chosen - _MOVES]
        branches = [
            *_changes(levels, share, sign, increasing),
            # One branch for all movements: under vmap every branch is computed.
            lambda: operations.warp(levels, matrix),
        ]
        return jax.lax.switch(chosen, branches)  # clamps: the last is for all above

    # On a CPU one image after the other, each computing its operation alone, took a
    # fifth of the time; an accelerator wants the whole batch at once, which none has
    # measured yet: `python3 dev.py bench --accelerator` does, both forms.
    return jax.lax.platform_dependent(
        levels,
        chosen,
        magnitude / 10,
        sign,
        cpu=lambda *arrays: jax.lax.map(lambda each: one(*each), arrays),
        default=jax.vmap(one),
    )


def _changes(levels, share, sign, increasing):
    """The operations that leave pixels in their places, in the order of `NAMES`."""
    bits, threshold = jnp.floor(4 * share), jnp.floor(256 * share)
    factor = 0.1 + 1.8 * share
    if increasing:
        bits, threshold = 4 - bits, 256 - threshold
        factor = jnp.maximum(1 + sign * 0.9 * share, 0.1)
    return (
        lambda: operations.autocontrast(levels),
        lambda: operations.equalize(levels),
        lambda: operations.invert(levels),
        # timm goes down to no bits: a black picture, which Pillow refuses by now.
        lambda: operations.posterize(levels, jnp.maximum(bits, 1)),
        lambda: operations.solarize(levels, threshold),
        lambda: operations.solarize_add(levels, jnp.floor(110 * share)),
        lambda: operations.color(levels, factor),
        lambda: operations.contrast(levels, factor),
        lambda: operations.brightness(levels, factor),
        lambda: operations.sharpness(levels, factor),
    )


def _matrices(share, height, width):
    """[5, 2, 3]: each movement, by a signed share of its strongest."""
    zero, one = jnp.zeros(()), jnp.ones(())
    shear, right, down = 0.3 * share, 0.45 * share * width, 0.45 * share * height
    straight = [
        [[one, shear, zero], [zero, one, zero]],
        [[one, zero, zero], [shear, one, zero]],
        [[one, zero, right], [zero, one, zero]],
        [[one, zero, zero], [zero, one, down]],
    ]
    turned = operations.rotation(30 * share, height, width)
    return jnp.stack([turned, *(jnp.array(matrix) for matrix in straight)])
