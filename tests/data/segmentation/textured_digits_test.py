"""Digits on textured ground: functions of their numbers, with masks that fit."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")

from gpsattn_jax.data.images.named_sets import digits
from gpsattn_jax.data.segmentation import textured_digits
from gpsattn_jax.data.segmentation.textured_digits import CLASS_NAMES, make_scene


def test_a_scene_is_a_function_of_its_part_and_number():
    sets = textured_digits()
    assert {part: len(scenes) for part, scenes in sets.items()} == {
        "train": 2000, "validation": 200, "test": 500,
    }  # fmt: skip
    batch = sets["train"].batch(np.array([7, 3, 7]), None)
    images, masks = batch["inputs"]["images"], batch["targets"]["mask"]
    assert images.shape == (3, 64, 64, 3) and masks.shape == (3, 64, 64)
    np.testing.assert_array_equal(images[0], images[2])
    assert (images[0] != images[1]).any()
    some = sets["train"].take(np.array([3, 9]))
    np.testing.assert_array_equal(some.whole(0)[1], masks[1])
    assert some.name(1) == "train_9"
    assert (sets["test"].whole(7)[0] != images[0]).any()


def test_the_numbers_of_a_scene_stay():
    """So that figures in docs/results.md belong to the same pictures for ever."""
    picture, mask = textured_digits()["test"].whole(0)
    assert (int(picture.sum()), np.unique(mask).tolist()) == (
        1533961,
        [0, 1, 6, 10],
    )


def test_a_mask_says_where_its_digit_is_and_which():
    eight = np.zeros((1, 8, 8, 1))
    eight[0, 2:6, 2:6] = 1
    picture, mask = make_scene(eight, np.array([4]), (0, 1))
    assert set(np.unique(mask)) == {0, 5} and CLASS_NAMES[5] == "4"
    # A digit's middle half is inked: a square, or several that may overlap.
    assert 12**2 <= (mask == 5).sum() <= 3 * 22**2
    inside, outside = picture[mask == 5], picture[mask == 0]
    assert np.abs(inside.mean(0) - outside.mean(0)).max() > 10


def test_no_two_parts_share_a_digit():
    parts = [
        {image.tobytes() for image in part.images} for part in digits(None).values()
    ]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
