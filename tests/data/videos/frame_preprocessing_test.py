"""Frames become normalised squares: which part, how scaled, what is refused."""

import numpy as np
import pytest

from gpsattn_jax.data.videos.frame_preprocessing import MEAN, STD, preprocess_frames


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_squares_of_the_wanted_size_are_only_normalised():
    frames = noise(2, 24, 24, 3)
    expected = (frames / 255 - np.asarray(MEAN)) / np.asarray(STD)
    found = preprocess_frames(frames, 24)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("height, width", [(24, 44), (44, 24)])
def test_the_middle_square_counts(height, width):
    frames = noise(2, height, width, 3)
    up, left = (height - 24) // 2, (width - 24) // 2
    square = frames[:, up : up + 24, left : left + 24]
    found = preprocess_frames(frames, 24)
    np.testing.assert_array_equal(found, preprocess_frames(square, 24))


@pytest.mark.parametrize("side", [8, 24, 100])
def test_grey_stays_grey_and_threads_change_nothing(side):
    grey = np.full((1, side, 2 * side, 3), 51, np.uint8)
    np.testing.assert_allclose(preprocess_frames(grey, 24), -0.6, atol=1e-6)
    frames = noise(5, side, 2 * side, 3)
    found = preprocess_frames(frames, 24, threads=1)
    np.testing.assert_array_equal(found, preprocess_frames(frames, 24, threads=3))


def test_large_frames_are_antialiased():
    """Lines of one pixel become grey, not stripes."""
    frames = np.zeros((1, 240, 240, 3), np.uint8)
    frames[:, :, ::2] = 255
    assert np.abs(preprocess_frames(frames, 24)).max() < 0.05


def test_no_frames():
    assert preprocess_frames(noise(0, 9, 9, 3), 24).shape == (0, 24, 24, 3)


@pytest.mark.parametrize(
    "frames, message",
    [
        (np.zeros((2, 9, 9, 3), np.float32), r"uint8 \[n, H, W, 3\]; got float32"),
        (np.zeros((9, 9, 3), np.uint8), r"got uint8 \(9, 9, 3\)"),
        (np.zeros((2, 9, 9, 1), np.uint8), r"got uint8 \(2, 9, 9, 1\)"),
        (np.zeros((2, 0, 9, 3), np.uint8), "must have pixels"),
    ],
)
def test_what_are_no_frames_is_refused(frames, message):
    with pytest.raises(ValueError, match=message):
        preprocess_frames(frames)
