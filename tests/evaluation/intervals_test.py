"""Intervals of means: against SciPy, by their formula, and by what they promise."""

import re

import numpy as np
import pytest
from scipy import stats

from gpsattn_jax.evaluation.intervals import bootstrap_interval, corrected_interval

VALUES = np.random.default_rng(0).normal(0.3, 0.1, 20)


def test_without_overlap_it_is_students_interval():
    low, high = stats.t.interval(
        0.95, 19, loc=VALUES.mean(), scale=stats.sem(VALUES)
    )  # fmt: skip
    found = corrected_interval(VALUES, 1e-12)
    np.testing.assert_allclose(found, (VALUES.mean(), low, high), rtol=1e-6)


def test_overlap_widens_it_as_nadeau_and_bengio_say():
    plain, corrected = (corrected_interval(VALUES, s) for s in (1e-12, 0.25))
    ratio = (corrected.high - corrected.mean) / (plain.high - plain.mean)
    np.testing.assert_allclose(ratio, np.sqrt((1 / 20 + 0.25) / (1 / 20)), rtol=1e-6)
    assert corrected.mean == plain.mean == VALUES.mean()


def test_the_bootstrap_agrees_with_scipys():
    found = bootstrap_interval(VALUES, draws=20_000)
    theirs = stats.bootstrap(
        (VALUES,), np.mean, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    np.testing.assert_allclose(found[1:], theirs, atol=2e-3)
    assert found == bootstrap_interval(VALUES, draws=20_000)


def test_the_corrected_interval_holds_the_truth_of_overlapping_splits():
    """Means of repeated folds of one sample of 50, as a benchmark has them.

    95 of 100 samples shall have the truth inside; Student's interval has far fewer.
    """
    draw, inside = np.random.default_rng(0), {1e-12: 0, 0.25: 0}
    for _ in range(200):
        sample = draw.normal(size=50)
        folds = [sample[draw.permutation(50)].reshape(5, 10).mean(1) for _ in range(4)]
        for share in inside:
            inside[share] += not corrected_interval(
                np.concatenate(folds), share
            ).excludes(0)
    assert inside[0.25] >= 180 and inside[1e-12] < 150


def test_what_lies_outside():
    interval = corrected_interval(np.array([1.0, 1.1, 0.9]), 0.25)
    assert interval.excludes() and not interval.excludes(1.0)


@pytest.mark.parametrize(
    "of", [lambda v: corrected_interval(v, 0.25), bootstrap_interval]
)
def test_one_value_says_nothing_of_its_spread(of):
    found = of(np.array([2.0]))
    assert found.mean == 2.0 and np.isnan(found[1:]).all() and not found.excludes(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: corrected_interval([], 0.25), "values must be [n], n at least 1; got"),
        (lambda: bootstrap_interval(np.ones((2, 2))), "values must be [n]"),
        (lambda: corrected_interval([1, 2], 0), "test_share must be above 0; got 0."),
        (
            lambda: bootstrap_interval([1, 2], 95),
            "confidence must be in (0, 1); got 95",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
