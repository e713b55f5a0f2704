"""Colour histograms, and what the stored ones show of how they were made."""

import numpy as np
import pytest

from gpsattn_jax.data.videos.color_histogram import color_histogram


def test_it_counts_pixels_in_bins_of_eight_levels():
    frames = np.random.default_rng(0).integers(0, 256, (3, 7, 5, 3), np.uint8)
    expected = np.zeros((3, 3, 32))
    for frame, row, column, channel in np.ndindex(3, 7, 5, 3):
        level = frames[frame, row, column, channel]
        expected[frame, 2 - channel, level // 8] += 1 / 35
    found = color_histogram(frames)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.reshape(3, 96), atol=1e-6)


@pytest.mark.parametrize("color, bins", [
    ((0, 0, 0), (0, 0, 0)),
    ((255, 255, 255), (31, 31, 31)),
    ((255, 0, 0), (0, 0, 31)),
    ((0, 7, 248), (31, 0, 0)),
    ((8, 128, 247), (30, 16, 1)),
])  # fmt: skip
def test_blue_is_first_and_red_is_last(color, bins):
    found = color_histogram(np.full((1, 4, 6, 3), color, np.uint8)).reshape(3, 32)
    assert tuple(found.argmax(1)) == bins
    assert np.all(found.max(1) == 1)


def test_the_place_of_pixels_does_not_matter():
    frames = np.random.default_rng(0).integers(0, 256, (2, 12, 16, 3), np.uint8)
    shuffled = np.random.default_rng(1).permutation(frames.reshape(2, -1, 3), axis=1)
    expected = color_histogram(frames)
    found = color_histogram(shuffled.reshape(frames.shape))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("frames", [
    np.zeros((2, 4, 4, 3), np.float32),
    np.zeros((4, 4, 3), np.uint8),
    np.zeros((2, 4, 4, 1), np.uint8),
    np.zeros((2, 0, 4, 3), np.uint8),
])  # fmt: skip
def test_what_are_no_frames_is_refused(frames):
    with pytest.raises(ValueError, match=r"frames must be uint8 \[n, H, W, 3\]"):
        color_histogram(frames)


def test_no_frames_have_no_histograms():
    assert color_histogram(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0, 96)


@pytest.mark.parametrize("name, place, size", [
    ("summe", "video_11", 480 * 360),
    ("summe", "video_18", 1280 * 720),
    ("tvsum", "video_6", 640 * 360),
])  # fmt: skip
def test_the_stored_ones_are_shares_of_one_frames_pixels(data_dir, name, place, size):
    h5py = pytest.importorskip("h5py")
    with h5py.File(data_dir / f"vsum/{name}.h5") as file:
        stored = file[place]["hist_shot_features"][:].astype(np.float64)
    np.testing.assert_allclose(stored.reshape(-1, 3, 32).sum(2), 1, atol=1e-6)
    counts = stored * size
    np.testing.assert_allclose(counts, np.round(counts), atol=0.05)
    # Such shares, made into a picture again, give the same histogram.
    levels = [np.repeat(np.arange(32) * 8, row.astype(int)) for row in
              np.round(counts[0]).reshape(3, 32)]  # fmt: skip
    picture = np.stack(levels[::-1], axis=-1).astype(np.uint8)
    found = color_histogram(picture[None, None])
    np.testing.assert_allclose(found[0], stored[0], atol=1e-6)


@pytest.mark.parametrize("name, place, highest, lowest", [
    ("summe", "video_11", 2, 0),  # fire
    ("summe", "video_13", 2, 0),  # autumn leaves
    ("summe", "video_18", 1, 2),  # under water: no red
])  # fmt: skip
def test_the_stored_ones_have_blue_first(data_dir, name, place, highest, lowest):
    h5py = pytest.importorskip("h5py")
    with h5py.File(data_dir / f"vsum/{name}.h5") as file:
        stored = file[place]["hist_shot_features"][:]
    levels = stored.reshape(-1, 3, 32).mean(0) @ np.arange(32)
    assert (levels.argmax(), levels.argmin()) == (highest, lowest)
