"""Segments: every step is in one of them, and joining undoes splitting."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.kernels import join_segments, split_segments
from gpsattn_jax.kernels.segments import segment_lengths
from tests.kernels import reference

LENGTHS = np.arange(1, 41)
COUNTS = range(1, 10)


def steps(count):
    """[T, 2] that are all different, and none of them zero."""
    return jnp.arange(1.0, 2 * count + 1).reshape(count, 2)


@pytest.mark.parametrize("count", COUNTS)
def test_lengths_of_segments(count):
    found = jax.vmap(lambda length: segment_lengths(length, count))(LENGTHS)
    for length, row in zip(LENGTHS, found, strict=True):
        assert list(row) == reference.segment_lengths(length, count)
        assert sum(row) == length


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(5, 4, [2, 2, 1, 0]), (3, 4, [1, 1, 1, 0]), (1, 3, [1, 0, 0]), (0, 2, [0, 0])],
)
def test_short_and_empty_segments(length, count, expected):
    assert list(segment_lengths(length, count)) == expected


@pytest.mark.parametrize("count", COUNTS)
def test_every_length_within_a_padded_sequence(count):
    """The cuts are those of the unpadded one, and joining undoes them."""
    x = steps(40)

    @jax.jit
    @jax.vmap
    def both(length):
        segments = split_segments(x, length, count)
        return segments, join_segments(segments, length, 40)

    for length, segments, joined in zip(LENGTHS, *both(LENGTHS), strict=True):
        expected = reference.split_segments(np.asarray(x), length, count)
        for number, own in enumerate(reference.segment_lengths(length, count)):
            np.testing.assert_array_equal(
                segments[number, :own], expected[number, :own]
            )
        np.testing.assert_array_equal(joined[:length], x[:length])


@pytest.mark.parametrize("length", [1, 3, 5, 8, 13])
@pytest.mark.parametrize("count", [2, 4])
def test_without_padding(length, count):
    segments = split_segments(steps(length), length, count)
    expected = reference.split_segments(np.asarray(steps(length)), length, count)
    np.testing.assert_array_equal(segments, expected)
    joined = join_segments(segments, length, length)
    np.testing.assert_array_equal(joined, steps(length))


def test_an_empty_sequence_is_finite():
    """As the filling of a batch has it."""
    segments = split_segments(steps(6), 0, 3)
    assert np.isfinite(join_segments(segments, 0, 6)).all()


def test_gradients_go_to_the_steps_that_they_came_from():
    @jax.grad
    def of_third(x):
        return split_segments(x, 7, 3)[1, :2].sum()

    found = of_third(steps(9))
    np.testing.assert_array_equal(found[:, 0], [0, 0, 0, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_segments(jnp.zeros(3), 3, 2), "x must be [T, C]; got (3,)."),
        (
            lambda: split_segments(steps(3), 3, 0),
            "num_segments must be at least 1; got 0.",
        ),
        (
            lambda: join_segments(jnp.zeros((2, 3, 1)), 7, 7),
            "segments must be [M, 4, C] for num_steps=7; got (2, 3, 1).",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
