"""Padded batches of videos: few lengths, empty videos that count nowhere."""

import dataclasses

import numpy as np
import pytest

from gpsattn_jax.data.batches import Batches
from gpsattn_jax.data.videos.feature_transforms import transform_video, unit_length
from gpsattn_jax.data.videos.videos import SHORTEST, VideoSet, bucket, by_number
from tests.data.videos.annotated_videos import annotated

VIDEOS = [annotated(number, steps) for number, steps in enumerate((9, 17, 4))]


def test_buckets_are_few_and_at_most_a_quarter_longer():
    lengths = range(1, 5000)
    sizes = [bucket(length) for length in lengths]
    assert all(size >= length for size, length in zip(sizes, lengths, strict=True))
    assert sizes == sorted(sizes) and sizes[0] == SHORTEST
    assert all(bucket(size) == size for size in sizes)
    pairs = list(zip(sizes, lengths, strict=True))[SHORTEST:]
    assert max(size / length for size, length in pairs) < 1.25
    assert sorted({*sizes})[:7] == [16, 20, 24, 28, 32, 40, 48]
    assert len({*sizes}) < 40


def test_batches_are_padded_to_the_longest_video_in_them():
    source = VideoSet(VIDEOS)
    assert len(source) == 3
    batch = source.batch(np.array([2, 1]))
    inputs, targets = batch["inputs"], batch["targets"]
    assert inputs["features"].shape == (2, 20, 16)
    assert inputs["features"].dtype == targets["score"].dtype == np.float32
    assert list(inputs["length"]) == list(targets["length"]) == [4, 17]
    for row, place in enumerate([2, 1]):
        video, steps = VIDEOS[place], len(VIDEOS[place])
        np.testing.assert_array_equal(inputs["features"][row, :steps], video.features)
        np.testing.assert_array_equal(targets["score"][row, :steps], video.target)
        assert not inputs["features"][row, steps:].any()
        assert not targets["score"][row, steps:].any()
    assert source.batch(np.array([0, 2]))["inputs"]["features"].shape == (2, 16, 16)


def test_a_batch_larger_than_the_set_is_filled_with_empty_videos():
    source = VideoSet(VIDEOS, batch_size=5)
    assert len(source) == 5
    batch = source.batch(np.array([4, 0, 3, 1, 2]))
    assert list(batch["inputs"]["length"]) == [0, 9, 0, 17, 4]
    assert not batch["inputs"]["features"][[0, 2]].any()
    assert not batch["targets"]["score"][[0, 2]].any()
    nothing = source.batch(np.array([3, 4]))
    assert nothing["inputs"]["features"].shape == (2, SHORTEST, 16)


def test_videos_without_scores_have_zeros():
    video = dataclasses.replace(VIDEOS[0], target=None)
    assert not VideoSet([video]).batch(np.array([0]))["targets"]["score"].any()


def test_names_are_sorted_by_number():
    names = ["video_10", "video_9", "b", "video_1", "a"]
    assert sorted(names, key=by_number) == ["a", "b", "video_1", "video_9", "video_10"]


def test_features_of_unit_length():
    x = np.array([[3.0, 4.0], [0.0, 0.0], [1e-3, 0.0]])
    expected = [[0.6, 0.8], [0, 0], [1, 0]]
    np.testing.assert_allclose(unit_length(x), expected)


@pytest.mark.parametrize("transform", ["none", "l2"])
def test_relative_time_is_appended(transform):
    """It begins at 1, 1 and ends at -1, 1; in the middle it is 0, -1."""
    video = dataclasses.replace(
        VIDEOS[0],
        features=2 * VIDEOS[0].features[:5],
        picks=np.arange(5) * 20,
        num_frames=100,
    )
    plain = transform_video(video, transform)
    assert plain.features.dtype == np.float32
    expected = {"none": 2.0, "l2": 1.0}[transform]
    np.testing.assert_allclose(np.linalg.norm(plain.features, axis=1), expected, 1e-5)
    timed = transform_video(video, transform, relative_time=True)
    np.testing.assert_array_equal(timed.features[:, :-2], plain.features)
    angle = np.pi * np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    expected = np.stack([np.cos(angle), np.cos(2 * angle)], 1)
    np.testing.assert_allclose(timed.features[:, -2:], expected, atol=1e-6)


def test_each_processs_rows_are_padded_as_the_whole_batch():
    """Otherwise two processes would put arrays of two lengths together."""
    source = VideoSet(VIDEOS)
    for places in ([2, 1], [0, 2, 1, 0]):
        places = np.array(places)
        whole = source.batch(places)
        batches = [
            source.batch_rows(places, None, rows)
            for rows in (slice(0, len(places) // 2), slice(len(places) // 2, None))
        ]
        for drawer, arrays in whole.items():
            for name, array in arrays.items():
                parts = [batch[drawer][name] for batch in batches]
                np.testing.assert_array_equal(np.concatenate(parts), array)


def test_examples_have_the_videos_names():
    batches = Batches(VideoSet(VIDEOS, 5), batch_size=5, seed=0)
    names = [video.name for video in VIDEOS]
    assert sorted(batches.examples(0)) == ["(empty)"] * (5 - len(names)) + sorted(names)
