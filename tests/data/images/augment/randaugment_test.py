"""RandAugment's operations against Pillow's own, and how they are drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from gpsattn_jax.data.images.augment import pillow_operations as operations
from gpsattn_jax.data.images.augment.randaugment import NAMES, operate, rand_augment

HEIGHT, WIDTH = 40, 48
MAGNITUDES = (0.0, 1.7, 4.0, 5.0, 7.5, 9.3, 10.0)


def pictures(channels):
    """Noise, a soft and a hard picture, ramps, one level, two levels: uint8."""
    random = np.random.default_rng(0)
    shape = (HEIGHT, WIDTH, channels)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    checks = (x // 6 + y // 5) % 2 * 200 + 20
    drawn = [
        random.integers(0, 256, shape),
        np.clip(random.normal(100, 20, shape), 0, 255),
        np.repeat(checks[..., None], channels, -1),
        np.stack([(5 * x + 3 * y + 30 * i) % 256 for i in range(channels)], -1),
        np.full(shape, 77),
        np.where((x < 24)[..., None], 255, random.integers(3, 9, shape)),
    ]
    return np.stack(drawn).astype(np.uint8)


def to_pillow(picture):
    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


def brightened(image, added):
    table = [min(level + added, 255) if level < 128 else level for level in range(256)]
    return image.point(table * len(image.getbands()))


def pillow(name, image, magnitude, sign, increasing=True):
    """What timm's operation of that name does to a Pillow image."""
    share = magnitude / 10
    grey = 128 if image.mode == "L" else (128, 128, 128)
    moved = {"resample": Image.Resampling.BILINEAR, "fillcolor": grey}
    bits, threshold = int(share * 4), int(share * 256)
    factor = 0.1 + 1.8 * share
    if increasing:
        bits, threshold = 4 - bits, 256 - threshold
        factor = max(0.1, 1 + sign * 0.9 * share)
    part = sign * share
    right, down = 0.45 * part * WIDTH, 0.45 * part * HEIGHT
    matrices = {
        "ShearX": (1, 0.3 * part, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, 0.3 * part, 1, 0),
        "TranslateX": (1, 0, right, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, down),
    }
    if name in matrices:
        affine = Image.Transform.AFFINE
        return image.transform(image.size, affine, matrices[name], **moved)
    if name in ("Color", "Contrast", "Brightness", "Sharpness"):
        return getattr(ImageEnhance, name)(image).enhance(factor)
    return {
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Equalize": lambda: ImageOps.equalize(image),
        "Invert": lambda: ImageOps.invert(image),
        "Posterize": lambda: ImageOps.posterize(image, max(bits, 1)),
        "Solarize": lambda: ImageOps.solarize(image, threshold),
        "SolarizeAdd": lambda: brightened(image, int(share * 110)),
        "Rotate": lambda: image.rotate(30 * part, **moved),
    }[name]()


@functools.cache
def compiled(increasing):
    return jax.jit(functools.partial(operate, increasing=increasing))


@pytest.mark.parametrize("increasing", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_pillows(name, channels, increasing):
    drawn = pictures(channels)
    cases = [(p, m, s) for p in drawn for m in MAGNITUDES for s in (-1, 1)]
    levels, magnitude, sign = (
        np.array(values, np.float32) for values in zip(*cases, strict=True)
    )
    chosen = np.full(len(cases), NAMES.index(name))
    found = np.asarray(compiled(increasing)(levels, chosen, magnitude, sign))
    expected = np.stack(
        [np.asarray(pillow(name, to_pillow(p), m, s, increasing)) for p, m, s in cases]
    )
    difference = np.abs(found - expected.reshape(found.shape))
    # One level where Pillow's double precision falls on the other side of a whole one.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.05
    np.testing.assert_array_equal(found, np.round(found))


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_keeps_any_number_of_bits(bits):
    picture = pictures(3)[0]
    found = operations.posterize(jnp.asarray(picture, jnp.float32), jnp.array(bits))
    kept = picture & (0xFF << (8 - bits) & 0xFF)
    np.testing.assert_array_equal(found, kept)


def test_one_by_one_is_all_at_once():
    """What accelerators compute is what a CPU computes."""
    levels = jnp.asarray(np.repeat(pictures(3)[:1], len(NAMES), 0), jnp.float32)
    arguments = jnp.arange(15), jnp.full(15, 7.0), jnp.ones(15)
    alone = compiled(True)(levels, *arguments)
    rows = [argument[:, None] for argument in (levels, *arguments)]
    # The map turns the loop's branches into a choice among all results.
    together = jax.jit(jax.vmap(operate))(*rows)
    np.testing.assert_allclose(together[:, 0], alone, atol=1)


def test_magnitude_zero_leaves_pictures_alone_where_it_increases():
    drawn = jnp.asarray(pictures(3), jnp.float32)
    still = {"AutoContrast", "Equalize", "Invert", "Posterize"}
    for name in sorted(set(NAMES) - still):
        chosen = jnp.full(len(drawn), NAMES.index(name))
        zero, one = jnp.zeros(len(drawn)), jnp.ones(len(drawn))
        np.testing.assert_array_equal(compiled(True)(drawn, chosen, zero, one), drawn)


def test_images_draw_apart_and_the_key_decides():
    image = pictures(3)[3] / np.float32(255)
    images = jnp.asarray(np.repeat(image[None], 32, 0))
    augment = jax.jit(rand_augment)
    first = augment(images, jax.random.key(0))
    np.testing.assert_array_equal(first, augment(images, jax.random.key(0)))
    assert np.any(first != augment(images, jax.random.key(1)))
    assert len(np.unique(np.asarray(first).reshape(32, -1), axis=0)) > 16
    assert first.min() >= 0 and first.max() <= 1
    # Each of two operations is left out half of the time: a quarter stays as it was.
    kept = np.all(np.isclose(first, images, atol=1e-6), axis=(1, 2, 3)).mean()
    assert 0.05 < kept < 0.55


def test_probability_zero_is_the_identity():
    images = jnp.asarray(pictures(1) / np.float32(255))
    augment = jax.jit(functools.partial(rand_augment, probability=0.0))
    found = augment(images, jax.random.key(0))
    np.testing.assert_allclose(found, images, atol=1e-7)
