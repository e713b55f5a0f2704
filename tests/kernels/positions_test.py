"""Positional biases: the original's numbers, odd lengths, blocks, traced lengths."""

import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.kernels import (
    POSITION_BIASES,
    POSITION_ENCODINGS,
    absolute_bias,
    relative_bias,
)
from tests.kernels import reference

LENGTHS = (1, 2, 3, 8, 13)


@functools.partial(jax.jit, static_argnames=("name", "steps", "frequency", "channels"))
def whole(name, steps, length=None, **options):
    """The bias of all rows and columns."""
    bias, place = POSITION_BIASES[name], jnp.arange(steps)
    length = steps if length is None else length
    return bias(place[:, None], place[None], length, **options)


def spelled_out(name, length, **options):
    twin, out = getattr(reference, f"{name}_bias"), np.zeros((length, length))
    for t, s in np.ndindex(length, length):
        out[t, s] = twin(t, s, length, **options)
    return out


def no_bias_twin(name):
    return "no" if name == "none" else name


def test_every_bias_has_a_twin_and_takes_the_same():
    for name, bias in POSITION_BIASES.items():
        assert hasattr(reference, f"{no_bias_twin(name)}_bias")
        takes = inspect.signature(bias).parameters
        assert list(takes) == ["rows", "columns", "length", "frequency", "channels"]


@pytest.mark.parametrize("name", POSITION_BIASES)
@pytest.mark.parametrize("frequency", [10_000.0, 50.0])
def test_agrees_with_its_twin(name, frequency, x64):
    for length in LENGTHS:
        options = {"frequency": frequency, "channels": 6}
        expected = spelled_out(no_bias_twin(name), length, **options)
        found = whole(name, length, **options)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["absolute", "relative"])
def test_golden_matrices(golden, name):
    """Made by the official code in float32; so an angle of 400 is known to 3e-5."""
    count = 0
    with np.load(golden / "pglsum" / "a90_position_matrices.npz") as file:
        for key in file.files:
            told = re.fullmatch(rf"{name}/T(\d+)_d(\d+)_f(\d+)", key)
            if told is None:
                continue
            length, channels, frequency = map(int, told.groups())
            options = {"frequency": float(frequency), "channels": channels}
            found = whole(name, length, **options)
            np.testing.assert_allclose(found, file[key], atol=1e-4, err_msg=key)
            count += 1
    assert count > 5


@pytest.mark.parametrize("name", ["absolute", "relative"])
def test_an_odd_length_has_a_last_column_of_zeros(name):
    odd, even = (whole(name, steps, channels=8) for steps in (9, 10))
    assert not np.any(odd[:, -1])
    assert np.all(np.any(np.asarray(even) != 0, axis=0))
    assert not np.any(whole(name, 1, channels=8))


def test_none_is_zero_and_broadcasts():
    assert not np.any(whole("none", 5)) and whole("none", 5).shape == (5, 5)


def test_far_beyond_the_channels_the_power_overflows():
    """To an angle of zero, so to sines of 0 and cosines of 1."""
    found = np.asarray(whole("absolute", 200, channels=8))
    assert np.isfinite(found).all()
    assert not found[:, 100::2].any() and (found[:, 101::2] == 1).all()


@pytest.mark.parametrize("name", POSITION_BIASES)
def test_rows_of_a_block_are_those_of_the_whole(name):
    expected = whole(name, 13, channels=8)
    rows, columns = jnp.arange(5, 9)[:, None], jnp.arange(13)[None]
    found = POSITION_BIASES[name](rows, columns, 13, channels=8)
    np.testing.assert_allclose(found, expected[5:9], atol=1e-6)


@pytest.mark.parametrize("name", ["absolute", "relative"])
def test_padding_changes_nothing_under_a_traced_length(name):
    """Within the length; lengths may be mapped over."""
    padded = jax.jit(jax.vmap(functools.partial(whole, name, 16, channels=8)))
    for length, found in zip(LENGTHS, padded(jnp.array(LENGTHS)), strict=True):
        expected = whole(name, length, channels=8)
        np.testing.assert_allclose(found[:length, :length], expected, atol=2e-6)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("bias", [absolute_bias, relative_bias])
def test_single_precision_serves_an_hour_of_video(bias):
    """Angles up to 7200 are off by 1e-3 at most."""
    rows, columns = np.arange(6700, 7200, 7)[:, None], np.arange(0, 7200, 11)[None]
    narrow = bias(jnp.asarray(rows), jnp.asarray(columns), 7200, channels=1024)
    with jax.enable_x64(True):
        wide = bias(jnp.asarray(rows), jnp.asarray(columns), 7200, channels=1024)
    assert narrow.dtype == np.float32 and wide.dtype == np.float64
    np.testing.assert_allclose(narrow, wide, atol=3e-3)


def test_alibi_grows_with_the_distance():
    place = jnp.arange(4)
    found = POSITION_ENCODINGS["alibi"](place[:, None], place[None], slope=0.5)
    expected = [[-0.5 * abs(t - s) for s in range(4)] for t in range(4)]
    np.testing.assert_array_equal(found, expected)


def test_rotary_products_depend_on_offsets_alone():
    query, key = np.random.default_rng(0).standard_normal((2, 1, 8), np.float32)
    rotate = functools.partial(POSITION_ENCODINGS["rotary_2d"], shape=(3, 4))
    turned_query, turned_key = (rotate(jnp.tile(x, (12, 1))) for x in (query, key))
    products = (turned_query @ turned_key.T).reshape(3, 4, 3, 4)
    np.testing.assert_allclose(products[0, 0, 1, 2], products[1, 1, 2, 3], rtol=1e-5)
    assert abs(products[0, 0, 1, 2] - products[0, 0, 2, 1]) > 1e-3


def test_rotary_needs_four_channels_for_each_band():
    with pytest.raises(ValueError, match=r"^x must have a multiple of 4 channels"):
        POSITION_ENCODINGS["rotary_2d"](jnp.ones((6, 6)), shape=(2, 3))
    message = "x must have the 2 x 2 = 4 pixels of the map; got 6."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        POSITION_ENCODINGS["rotary_2d"](jnp.ones((6, 8)), shape=(2, 2))
