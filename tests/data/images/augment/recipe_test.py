"""Augmentations of place and colour, and the recipe of them all."""

import colorsys
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from gpsattn_jax.data.images.augment import boxes, color
from gpsattn_jax.data.images.augment import geometry as augment
from gpsattn_jax.data.images.augment.recipe import (
    AugmentConfig,
    augment_batch,
    left_for_device,
)
from gpsattn_jax.data.images.random_box import TRIES, random_box

KEY = jax.random.key(0)


def noise(count, height=24, width=32, channels=3, seed=0):
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).random(shape, np.float32)


def test_flip_mirrors_half_of_the_images():
    images = jnp.asarray(np.repeat(noise(1), 400, 0))
    once = augment.flip(images, KEY)
    np.testing.assert_array_equal(augment.flip(once, KEY), images)
    mirrored = np.any(once != images, axis=(1, 2, 3))
    np.testing.assert_array_equal(once[mirrored], images[mirrored][:, :, ::-1])
    assert 0.4 < mirrored.mean() < 0.6


@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_pad_and_crop_cuts_the_padded_image(mode):
    images = noise(64, 6, 7)
    cut = np.asarray(
        augment.pad_and_crop(jnp.asarray(images), KEY, pixels=2, mode=mode)
    )
    kind = {"zero": "constant", "reflect": "reflect"}[mode]
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), kind)
    corners = set()
    for picture, whole in zip(cut, padded, strict=True):
        places = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.array_equal(whole[top : top + 6, left : left + 7], picture)
        ]
        assert len(places) == 1
        corners.update(places)
    assert len(corners) > 15  # of 25


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_a_crop_is_pillows(method):
    y, x = np.mgrid[:48, :64]
    waves = np.stack([np.sin(x / 5), np.cos(y / 7), np.sin((x + y) / 9)], -1)
    picture = np.uint8(255 * (0.5 + 0.4 * waves + 0.1 * (noise(1, 48, 64)[0] - 0.5)))
    cuts = np.array([(0, 0, 48, 64), (3, 10, 20, 17), (7, 1, 40, 60), (40, 50, 5, 9)])
    images = jnp.asarray(np.repeat(picture[None], 4, 0) / np.float32(255))
    found = 255 * boxes.resized_crop(images, jnp.asarray(cuts), method=method)
    found = np.clip(found, 0, 255)
    for (top, left, height, width), mine in zip(cuts, found, strict=True):
        box = left, top, left + width, top + height
        resample = Image.Resampling[method.upper()]
        theirs = Image.fromarray(picture).resize((64, 48), resample, box=box)
        # Pillow rounds between its two passes and after them.
        assert np.abs(mine - np.asarray(theirs, np.float32)).max() < 1.5


def test_a_crop_of_everything_is_the_identity():
    images = jnp.asarray(noise(8, 32, 32))
    options = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
    crop = jax.jit(functools.partial(boxes.random_resized_crop, **options))
    np.testing.assert_allclose(crop(images, KEY), images, atol=1e-6)


def test_crops_have_the_areas_and_ratios_asked_for():
    @jax.jit
    @jax.vmap
    def draw(numbers):
        return random_box(numbers, 60, 80, scale=(0.2, 0.9), ratio=(0.75, 1.5))

    found = draw(jax.random.uniform(KEY, (500, 2, TRIES + 1)))
    top, left, height, width = np.asarray(found).T
    assert top.min() >= 0 and left.min() >= 0
    assert (top + height).max() <= 60 and (left + width).max() <= 80
    area, ratio = height * width / 4800, width / height
    assert 0.19 < area.min() < 0.25 and 0.8 < area.max() < 0.92
    assert 0.72 < ratio.min() < 0.8 and 1.4 < ratio.max() < 1.55
    assert len(np.unique(np.asarray(found), axis=0)) > 450


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((20, 100), (0, 37, 20, 27)),
        ((100, 20), (37, 0, 27, 20)),
        ((30, 32), (0, 0, 30, 32)),
    ],
)
def test_where_no_crop_fits_the_middle_is_taken(size, box):
    draw = np.random.default_rng(0).random((2, TRIES + 1), np.float32)
    found = random_box(jnp.asarray(draw), *size, (1.0, 1.0), (3 / 4, 4 / 3))
    assert np.abs(np.asarray(found) - box).max() <= 1


def test_the_host_and_the_device_cut_the_same_boxes():
    draws = np.random.default_rng(1).random((400, 2, TRIES + 1), np.float32)
    host = np.stack([random_box(draw, 60, 80) for draw in draws])
    device = jax.vmap(lambda draw: random_box(draw, 60, 80))(jnp.asarray(draws))
    assert type(host) is np.ndarray and isinstance(device, jax.Array)
    # A side may fall on the edge between two numbers: the powers differ by a bit.
    assert np.abs(host - device).max() <= 1
    assert (host == device).all(1).mean() > 0.99


class Cropping:
    crops_by_seed = True


def test_a_set_that_crops_by_seed_leaves_the_rest_to_the_device():
    recipe = AugmentConfig(crop_scale=(0.2, 1.0), flip=True)
    found = left_for_device(recipe, Cropping())
    assert found == AugmentConfig(flip=True)
    plain = Cropping()
    plain.crops_by_seed = False
    assert left_for_device(recipe, plain) is recipe


@pytest.mark.parametrize("mode", ["noise", "zero", "mean"])
def test_erasing_covers_one_box(mode):
    images = jnp.asarray(noise(200) * 0.5 + 0.25)
    options = {"probability": 0.5, "area": (0.1, 0.3), "ratio": (0.5, 2.0)}
    erase = jax.jit(functools.partial(boxes.random_erase, mode=mode, **options))
    erased = erase(images, KEY)
    changed = np.asarray(erased != images).any(-1)
    touched = changed.any((1, 2))
    assert 0.38 < touched.mean() < 0.62
    areas, corners = [], set()
    for place in changed[touched]:
        rows, columns = np.flatnonzero(place.any(1)), np.flatnonzero(place.any(0))
        inside = place[np.ix_(range(rows[0], rows[-1] + 1), columns)]
        assert inside.mean() > 0.95
        areas.append(place.mean())
        corners.add((rows[0], columns[0]))
    assert 0.08 < min(areas) < 0.15 and 0.25 < max(areas) < 0.32
    assert len(corners) > 50
    assert erased.min() >= 0 and erased.max() <= 1
    if mode == "zero":
        assert np.asarray(erased)[changed].max() == 0
    if mode == "mean":
        mean = np.asarray(images.mean((1, 2)))[touched][0]
        np.testing.assert_allclose(
            np.asarray(erased)[touched][0][changed[touched][0]].mean(0), mean, rtol=1e-5
        )


@pytest.mark.parametrize(
    ("change", "enhancer"),
    [("brightness", "Brightness"), ("contrast", "Contrast"), ("saturation", "Color")],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_of_colour_is_pillows(change, enhancer, channels):
    picture = np.uint8(255 * noise(1, channels=channels)[0])
    image = Image.fromarray(picture[..., 0] if channels == 1 else picture)
    factors = np.array([0.0, 0.4, 1.0, 1.3, 2.0], np.float32)
    images = np.repeat(picture[None] / np.float32(255), len(factors), 0)
    found = getattr(color, change)(jnp.asarray(images), jnp.asarray(factors))
    for factor, mine in zip(factors, np.asarray(found), strict=True):
        theirs = getattr(ImageEnhance, enhancer)(image).enhance(float(factor))
        difference = 255 * mine - np.asarray(theirs, np.float32).reshape(mine.shape)
        assert np.abs(difference).max() < 2  # Pillow cuts off and rounds its greys


def test_hue_is_that_of_the_colour_wheel():
    images = noise(3, 8, 8)
    images[0, 0] = 0.3  # grey
    turns = np.array([0.0, 0.2, -0.45], np.float32)
    found = np.asarray(color.hue(jnp.asarray(images), jnp.asarray(turns)))

    def turned(pixel, turn):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)

    for image, turn, mine in zip(images, turns, found, strict=True):
        expected = [[turned(pixel, turn) for pixel in row] for row in image.tolist()]
        np.testing.assert_allclose(mine, expected, atol=2e-6)


def test_colour_jitter_stays_in_its_ranges():
    images = jnp.asarray(np.repeat(noise(1) * 0.5, 200, 0))
    jitter = jax.jit(functools.partial(color.color_jitter, strengths=(0.4, 0, 0, 0)))
    factors = np.asarray(jitter(images, KEY) / images).reshape(200, -1)
    np.testing.assert_allclose(factors.min(1), factors.max(1), rtol=1e-5)
    assert 0.6 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.4 + 1e-5
    jitter = jax.jit(functools.partial(color.color_jitter, strengths=(0.9, 2, 2, 0.5)))
    changed = np.asarray(jitter(jnp.asarray(noise(200)), KEY))
    assert changed.min() >= 0 and changed.max() <= 1
    grey = jnp.asarray(noise(4, channels=1))
    np.testing.assert_array_equal(color.saturation(grey, jnp.zeros(4)), grey)
    np.testing.assert_array_equal(color.hue(grey, jnp.ones(4) / 3), grey)


EVERYTHING = AugmentConfig(
    crop_scale=(0.2, 1.0),
    pad_crop=2,
    flip=True,
    degrees=10.0,
    shift=1.0,
    randaugment_ops=1,
    color_jitter=(0.4, 0.0, 0.4, 0.0),
    erase=0.5,
    mixup=0.8,
    cutmix=1.0,
)


def batch_of(images):
    label = jnp.arange(len(images), dtype=jnp.int32) % 5
    return {
        "inputs": {"images": images, "mask": jnp.arange(3)},
        "targets": {"label": label, "weight": jnp.ones(len(images))},
        "name": jnp.arange(2),
    }


def test_a_recipe_without_entries_is_the_identity():
    images = jnp.asarray(noise(4))
    found = augment_batch(AugmentConfig(), batch_of(images), KEY, 5)
    np.testing.assert_array_equal(found["inputs"]["images"], images)
    assert found["targets"]["label"].dtype == jnp.int32
    whole = np.uint8(255 * images)
    found = augment_batch(AugmentConfig(), batch_of(jnp.asarray(whole)), KEY, 5)
    np.testing.assert_allclose(found["inputs"]["images"] * 255, whole, atol=1e-4)


def test_a_full_recipe():
    apply = jax.jit(functools.partial(augment_batch, EVERYTHING, num_classes=5))
    same = np.uint8(255 * np.repeat(noise(1), 16, 0))
    batch = batch_of(jnp.asarray(same))
    found, again = apply(batch, key=KEY), apply(batch, key=KEY)
    jax.tree.map(np.testing.assert_array_equal, found, again)
    images, label = found["inputs"]["images"], found["targets"]["label"]
    assert images.shape == same.shape and images.dtype == jnp.float32
    assert images.min() >= 0 and images.max() <= 1
    assert len(np.unique(np.asarray(images).reshape(16, -1), axis=0)) == 16
    assert label.shape == (16, 5) and label.dtype == jnp.float32
    np.testing.assert_allclose(label.sum(1), 1, rtol=1e-6)
    for drawer, name in (("inputs", "mask"), ("targets", "weight")):
        np.testing.assert_array_equal(found[drawer][name], batch[drawer][name])
    np.testing.assert_array_equal(found["name"], batch["name"])
    other = apply(batch, key=jax.random.key(1))["inputs"]["images"]
    assert np.any(other != images)


def test_the_warp_of_a_recipe_is_that_of_old_runs():
    images = jnp.asarray(noise(4))
    options = {"degrees": 15.0, "zoom": 0.1, "shift": 0.7, "shear": 0.1}
    found = augment_batch(AugmentConfig(**options), batch_of(images), KEY, 5)
    expected = augment.random_affine(images, KEY, **options)
    np.testing.assert_array_equal(found["inputs"]["images"], expected)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("crop_scale", (0.5, 1.2), "shares of at most 1"),
        ("crop_scale", (0.5,), "two rising numbers above 0"),
        ("crop_ratio", (2.0, 1.0), "two rising numbers above 0"),
        ("crop_method", "nearest", "one of bilinear, bicubic"),
        ("pad_crop", -1, "0 or more"),
        ("pad_mode", "edge", "one of zero, reflect"),
        ("degrees", -3.0, "0 or more"),
        ("randaugment_magnitude", 11.0, "in 0..10"),
        ("randaugment_probability", 1.5, "in 0..1"),
        ("color_jitter", (0.4,), "four numbers of 0 or more"),
        ("color_jitter", (0.4, 0.4, 0.4, 0.6), "of hue at most 0.5"),
        ("erase", 2.0, "in 0..1"),
        ("erase_area", (0.0, 0.3), "two rising numbers above 0"),
        ("erase_mode", "pixel", "one of noise, zero, mean"),
        ("mixup", -0.1, "0 or more"),
        ("switch_probability", -0.1, "in 0..1"),
    ],
)
def test_a_recipe_names_its_wrong_field(field, value, wanted):
    with pytest.raises(ValueError) as raised:
        AugmentConfig(**{field: value})
    assert str(raised.value) == f"augment.{field} must be {wanted}; got {value!r}."
