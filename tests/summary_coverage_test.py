"""Coverage of held-out clips: the measure, and that what is held out trains nothing."""

import dataclasses
import itertools

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: video)")

from benchmarks import summary_coverage
from benchmarks.summary_coverage import coverage, early_in_greedy, greedy, kept
from gpsattn_jax.models import pglsum

DRAW = np.random.default_rng(0)


def clip(steps, channels=16):
    """Frames around one picture."""
    x = np.abs(DRAW.normal(size=channels) + 0.2 * DRAW.normal(size=(steps, channels)))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


CLIPS = [clip(16 + number) for number in range(9)]


def test_coverage_by_a_loop():
    features = 3 * clip(12)
    steps = [2, 7]
    similar = [
        max(
            np.dot(a, features[s]) / np.linalg.norm(a) / np.linalg.norm(features[s])
            for s in steps
        )
        for a in features
    ]
    np.testing.assert_allclose(coverage(features, steps), np.mean(similar), rtol=1e-5)
    assert coverage(features, range(12)) == pytest.approx(1)


def test_the_greedy_choice_is_no_worse_than_its_bound():
    """Within 1 - 1/e of the best of all choices, and the best one of one frame."""
    features = np.concatenate([clip(4), clip(4), clip(4)])
    for count in (1, 3):
        choices = itertools.combinations(range(12), count)
        best = max(coverage(features, list(steps)) for steps in choices)
        found = coverage(features, greedy(features, count))
        assert found <= best + 1e-9 and found >= best * (1 if count == 1 else 0.95)
    order = greedy(features, 12)
    assert sorted(order) == list(range(12))
    assert np.argsort(-early_in_greedy(features)).tolist() == order


def test_kept_shots_are_those_of_the_highest_scores():
    features = np.concatenate([clip(40), clip(40)])
    first, second = (np.repeat(pair, 40) for pair in ((1.0, 0.1), (0.1, 1.0)))
    of_first = coverage(features, range(40)), coverage(features, range(40, 80))
    assert 0 < kept(features, first) < 1 and 0 < kept(features, second) < 1
    assert (
        kept(features, first) <= of_first[0] and kept(features, second) <= of_first[1]
    )


def test_the_rows(monkeypatch):
    """Whole, of a small network; no frame that is held out trains it."""
    model = pglsum.Config(input_size=16, num_heads=2, local_heads=2, num_segments=2)
    train = dataclasses.replace(summary_coverage.CONFIG.train, num_steps=4)
    config = dataclasses.replace(summary_coverage.CONFIG, model=model, train=train)
    monkeypatch.setattr(summary_coverage, "CONFIG", config)
    folds = [CLIPS[start::3] for start in range(3)]
    trainer = summary_coverage.trainer_of(folds, early_in_greedy)
    frames = dict(zip(trainer.names, trainer.source.videos, strict=True))
    for number in range(3):
        held = {row.tobytes() for row in frames[f"held {number}"].features}
        for name in summary_coverage.names_of_training(number):
            rows = frames[name].features
            assert len(rows) >= 3 * 16 and not held & {r.tobytes() for r in rows}
    found = [summary_coverage.trained(trainer, folds, seed) for seed in range(2)]
    row = summary_coverage.row("mine", found)
    assert len(row) == len(summary_coverage.HEAD)
    assert float(row[4]) == pytest.approx(np.mean(found), abs=6e-4)
    assert all(0 < value < 1 for values in found for value in values)
