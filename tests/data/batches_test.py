"""Batches are a function of (seed, epoch, step); evaluation sees each example once."""

import jax
import numpy as np
import pytest

from gpsattn_jax.data.augment import random_affine
from gpsattn_jax.data.batches import Batches, in_order


def numbers(seed=0, augment=None, batch_size=3):
    values = {"x": np.arange(10.0, dtype=np.float32)}
    label = {"label": np.arange(10)}
    return Batches(values, label, batch_size=batch_size, seed=seed, augment=augment)


def test_batch_of_a_step_does_not_depend_on_what_was_asked_before():
    forwards, backwards = numbers(), numbers()
    one = [forwards(step)["inputs"]["x"] for step in range(12)]
    two = [backwards(step)["inputs"]["x"] for step in reversed(range(12))][::-1]
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(
        one, [numbers(1)(step)["inputs"]["x"] for step in range(12)]
    )


def test_an_epoch_repeats_no_example_and_the_next_has_another_order():
    batches = numbers()
    epochs = [
        np.concatenate([batches(3 * e + s)["targets"]["label"] for s in range(3)])
        for e in range(2)
    ]
    assert batches.steps_per_epoch == 3
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert not np.array_equal(*epochs)


def test_inputs_and_targets_stay_together_and_augmentation_depends_on_the_step():
    def jitter(inputs, key):
        return {"x": inputs["x"] + jax.random.uniform(key, inputs["x"].shape) / 2}

    batches = numbers(augment=jitter)
    first, again = batches(4), batches(4)
    np.testing.assert_array_equal(first["inputs"]["x"], again["inputs"]["x"])
    np.testing.assert_array_equal(
        np.floor(first["inputs"]["x"]), first["targets"]["label"]
    )
    shifts = [np.asarray(batches(s)["inputs"]["x"]) % 1 for s in (4, 5)]
    assert not np.array_equal(*shifts)


def test_position():
    assert numbers().position(7) == {"epoch": 2, "batch": 1, "examples": 10}


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"one length; got \{'x': 10, 'label': 9\}"):
        Batches({"x": np.zeros(10)}, {"label": np.zeros(9)}, batch_size=2, seed=0)
    with pytest.raises(ValueError, match="at most the 10 examples; got 11"):
        numbers(batch_size=11)


def test_in_order_counts_every_example_once():
    seen = [batch["x"][:count] for batch, count in in_order({"x": np.arange(7)}, 3)]
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(7))
    assert {len(batch["x"]) for batch, _ in in_order({"x": np.arange(7)}, 3)} == {3}


def test_affine_of_nothing_changes_nothing():
    images = jax.random.uniform(jax.random.key(0), (2, 5, 4, 3))
    np.testing.assert_allclose(
        random_affine(images, jax.random.key(1)), images, atol=1e-6
    )


def test_affine_shift_moves_a_point_and_keeps_most_of_its_weight():
    images = np.zeros((64, 9, 9, 1), np.float32)
    images[:, 4, 4] = 1
    moved = np.asarray(random_affine(images, jax.random.key(0), shift=2))
    np.testing.assert_allclose(moved.sum((1, 2, 3)), 1, atol=1e-5)
    rows = (moved.sum((2, 3)) * np.arange(9)).sum(1) - 4
    assert (
        np.abs(rows).max() <= 2 and np.abs(rows).max() > 1.5 and abs(rows.mean()) < 0.5
    )


def test_affine_turns_by_the_angle():
    images = np.zeros((32, 21, 21, 1), np.float32)
    images[:, 2, 10] = 1
    turned = np.asarray(random_affine(images, jax.random.key(0), degrees=30))
    places = np.stack(np.mgrid[:21, :21]) - 10
    center = (turned[..., 0][:, None] * places).sum((2, 3)) / turned.sum((1, 2))
    angles = np.degrees(np.arctan2(center[:, 1], -center[:, 0]))
    np.testing.assert_allclose(np.linalg.norm(center, axis=1), 8, atol=0.15)
    assert np.abs(angles).max() <= 31 and np.abs(angles).max() > 25
