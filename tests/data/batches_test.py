"""Batches are a function of (seed, epoch, step); evaluation sees each example once."""

import jax
import numpy as np
import pytest

from gpsattn_jax.data.batches import Arrays, Batches, in_order
from gpsattn_jax.data.images.augment.geometry import random_affine


def numbers(seed=0, batch_size=3, rows=slice(None), count=10):
    values = {"x": np.arange(count, dtype=np.float32)}
    source = Arrays(values, {"label": np.arange(count)})
    return Batches(source, batch_size=batch_size, seed=seed, rows=rows)


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


def test_inputs_and_targets_stay_together():
    for step in range(6):
        batch = numbers()(step)
        np.testing.assert_array_equal(batch["inputs"]["x"], batch["targets"]["label"])


def test_rows_of_the_processes_make_up_the_batch():
    whole = numbers(batch_size=4)(3)["inputs"]["x"]
    parts = [
        numbers(batch_size=4, rows=slice(*rows))(3)["inputs"]["x"]
        for rows in ((0, 2), (2, 4))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_seeds_differ_by_example_step_and_run_and_do_not_depend_on_the_rows():
    class Seeds:
        def __len__(self):
            return 8

        def batch(self, places, seeds):
            return {"inputs": {"seed": seeds}, "targets": {}}

    def seeds(step, **options):
        options = {"batch_size": 4, "seed": 0} | options
        return Batches(Seeds(), **options)(step)["inputs"]["seed"]

    drawn = [*seeds(0), *seeds(1), *seeds(2), *seeds(0, seed=1)]
    assert len(set(drawn)) == len(drawn) and min(drawn) >= 0
    np.testing.assert_array_equal(seeds(1, rows=slice(2, 4)), seeds(1)[2:])


def test_position():
    assert numbers().position(7) == {"epoch": 2, "batch": 1, "examples": 10}


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"one length; got \{'x': 10, 'label': 9\}"):
        Arrays({"x": np.zeros(10)}, {"label": np.zeros(9)})
    with pytest.raises(ValueError, match="at most the 10 examples; got 11"):
        numbers(batch_size=11)


def test_in_order_counts_every_example_once():
    source = Arrays({"x": np.arange(7)}, {})
    found = [(batch["inputs"]["x"], count) for batch, count in in_order(source, 3)]
    together = np.concatenate([values[:count] for values, count in found])
    np.testing.assert_array_equal(together, np.arange(7))
    assert {len(values) for values, _ in found} == {3}


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
