"""Sines of whole tables: as exact as float32 lets them be, for long sequences, too."""

import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.kernels.sines import sine


@pytest.mark.parametrize("largest", [1.0, 1e3, 4e5, 4e6])
def test_sine_and_cosine_against_numpy(largest):
    drawn = np.random.default_rng(0).uniform(-largest, largest, 50_000)
    angle = drawn.astype(np.float32)
    for quarters in range(-1, 4):
        expected = np.sin(angle.astype(np.float64) + quarters * np.pi / 2)
        np.testing.assert_allclose(sine(angle, quarters), expected, atol=1.5e-7)


def test_quarters_broadcast_like_columns():
    angle = jnp.linspace(0, 50, 24).reshape(4, 6)
    parity = jnp.arange(6)[None] % 2
    expected = np.where(parity == 0, np.sin(angle), np.cos(angle))
    np.testing.assert_allclose(sine(angle, parity), expected, atol=4e-6)


def test_wider_floats_keep_their_precision(x64):
    angle = jnp.linspace(-9, 9, 100)
    assert sine(angle, 1).dtype == np.float64
    np.testing.assert_allclose(sine(angle, 1), np.cos(angle), atol=1e-14)
