"""Mixup and cutmix: labels say what the pixels are."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.data.images.augment.mixing import cutmix, mix, mixup

CLASSES = 6
WEIGHTS = jnp.eye(CLASSES)


@pytest.fixture
def images():
    """One level for each image, so that a pixel tells where it is from."""
    levels = jnp.arange(CLASSES, dtype=jnp.float32) / 10
    return jnp.broadcast_to(levels.reshape(-1, 1, 1, 1), (CLASSES, 12, 16, 3))


@functools.cache
def compiled(function, **options):
    return jax.jit(functools.partial(function, **options))


@pytest.mark.parametrize("function", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_labels_are_the_shares_of_the_pixels(function, alpha, images):
    shares = []
    for seed in range(40):
        mixed, weights = compiled(function, alpha=alpha)(
            images, WEIGHTS, jax.random.key(seed)
        )
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
        # The mean of an image's pixels is the mean of its classes' levels.
        levels = weights @ images[:, 0, 0, 0]
        np.testing.assert_allclose(mixed.mean((1, 2, 3)), levels, atol=5e-6)
        shares.append(float(weights[0, 0]))
    assert 0 <= min(shares) < 0.5 and 0.8 < max(shares) <= 1
    assert 0.3 < np.mean(shares) < 0.85


def test_cutmix_pastes_one_box_of_the_partner(images):
    for seed in range(10):
        mixed, _ = compiled(cutmix, alpha=1.0)(images, WEIGHTS, jax.random.key(seed))
        pasted = np.asarray(mixed != images)
        rows, columns = pasted[0].any((1, 2)), pasted[0].any((0, 2))
        box = rows[:, None] & columns[None]
        for image in pasted:
            np.testing.assert_array_equal(image, np.repeat(box[..., None], 3, -1))


def test_mixup_of_two_is_symmetric(images):
    mixed, weights = mixup(images, WEIGHTS, jax.random.key(3), alpha=1.0)
    np.testing.assert_allclose(
        mixed + mixed[::-1], images + images[::-1], atol=1e-6
    )  # partners share what they have
    np.testing.assert_allclose(weights + weights[::-1], WEIGHTS + WEIGHTS[::-1])


def kinds(images, **options):
    """How often a batch was left alone, mixed and cut."""
    counts = {"none": 0, "mixup": 0, "cutmix": 0}
    for seed in range(60):
        mixed, weights = compiled(mix, **options)(images, WEIGHTS, jax.random.key(seed))
        weight = float(weights[0, 0])
        whole = np.isin(np.asarray(mixed), np.asarray(images)).all()
        kind = "cutmix" if whole else "mixup"
        counts["none" if weight == 1 else kind] += 1
    return counts


def test_switching(images):
    assert kinds(images) == {"none": 60, "mixup": 0, "cutmix": 0}
    assert kinds(images, cutmix_alpha=1.0)["mixup"] == 0
    both = kinds(images, mixup_alpha=1.0, cutmix_alpha=1.0, switch_probability=0.25)
    assert 5 <= both["cutmix"] <= 27 and both["mixup"] >= 30
    rare = kinds(images, mixup_alpha=1.0, cutmix_alpha=1.0, probability=0.2)
    assert 35 <= rare["none"] <= 58
