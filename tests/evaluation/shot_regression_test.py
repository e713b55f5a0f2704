"""The regression of shots: against scikit-learn's, and what it may look at."""

import numpy as np
import pytest
from scipy.stats import rankdata

from gpsattn_jax.evaluation.representativeness import representativeness
from gpsattn_jax.evaluation.shot_regression import (
    GROUPS,
    WINDOWS,
    describe_shots,
    fit_shots,
)

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: video)")

DRAW = np.random.default_rng(0)
LENGTHS = 9, 14, 23


def video(steps):
    """(features, picks, frames) of shots of all lengths."""
    cuts = np.sort(DRAW.choice(np.arange(1, 1000), steps - 1, replace=False))
    return DRAW.dirichlet(np.ones(12), steps), np.append(0, cuts), 1000


VIDEOS = [video(steps) for steps in LENGTHS]
TARGETS = [DRAW.random(steps).round(1) for steps in LENGTHS]  # with ties


def test_the_groups_are_what_they_say():
    """Each column, by a loop over shots."""
    features, picks, frames = VIDEOS[1]
    found, steps = describe_shots(features, picks, frames), len(features)
    assert tuple(found) == GROUPS
    ends = [*picks[1:], frames]
    roots = np.sqrt(features)
    for t in range(steps):
        middle = (picks[t] + ends[t]) / 2 / frames
        expected = np.cos(np.pi * middle), np.cos(2 * np.pi * middle)
        np.testing.assert_allclose(found["position"][t], expected)
        for column, size in enumerate((*WINDOWS, steps)):
            others = [s for s in range(steps) if s != t and abs(s - t) <= size]
            apart = np.linalg.norm(roots[t] - np.mean(roots[others], axis=0))
            np.testing.assert_allclose(found["contrast"][t, column], apart)
        np.testing.assert_allclose(found["duration"][t, 0], np.log(ends[t] - picks[t]))
    np.testing.assert_array_equal(found["colours"], roots)
    expected = representativeness(features)[:, None]
    np.testing.assert_allclose(found["representativeness"], expected)


@pytest.mark.parametrize("groups", [("position",), GROUPS])
@pytest.mark.parametrize("penalty", [0.03, 3.0])
def test_it_is_scikit_learns_ridge(groups, penalty):
    """With sample weights, on centred columns of one deviation and centred ranks."""
    from sklearn.linear_model import Ridge

    described = [describe_shots(*video) for video in VIDEOS]
    columns = [np.hstack([shots[group] for group in groups]) for shots in described]
    columns = [rows - rows.mean(0) for rows in columns]
    shares = np.concatenate([np.full(n, 1 / n / len(LENGTHS)) for n in LENGTHS])
    deviation = np.sqrt(np.average(np.concatenate(columns) ** 2, 0, shares))
    ranks = [rankdata(target) / len(target) for target in TARGETS]
    ranks = np.concatenate([rank - rank.mean() for rank in ranks])
    ridge = Ridge(penalty, fit_intercept=False)
    ridge.fit(np.concatenate(columns) / deviation, ranks, shares)
    model = fit_shots(described, TARGETS, groups, penalty)
    np.testing.assert_allclose(model.weights, ridge.coef_, atol=1e-8)
    for shots, rows in zip(described, columns, strict=True):
        expected = ridge.predict(rows / deviation)
        np.testing.assert_allclose(model.score(shots), expected, atol=1e-8)


def test_it_finds_that_the_middle_is_liked():
    described, targets = [describe_shots(*video) for video in VIDEOS], []
    for _, picks, frames in VIDEOS:
        ends = np.append(picks[1:], frames)
        targets.append(-np.abs((picks + ends) / 2 / frames - 0.5))
    model = fit_shots(described[:2], targets[:2], ("position",), 0.01)
    found, expected = rankdata(model.score(described[2])), rankdata(targets[2])
    assert np.corrcoef(found, expected)[0, 1] > 0.9


def test_a_single_shot_has_no_contrast():
    shots = describe_shots(np.ones((1, 4)) / 4, np.array([0]), 30)
    assert not shots["contrast"].any()
    model = fit_shots([shots], [np.array([0.5])], GROUPS, 1.0)
    np.testing.assert_array_equal(model.score(shots), [0.0])


@pytest.mark.parametrize(
    ("groups", "message"), [(("colour",), "got colour."), ((), "groups must be among")]
)
def test_other_groups_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        fit_shots([describe_shots(*VIDEOS[0])], TARGETS[:1], groups, 1.0)


def test_without_videos():
    with pytest.raises(ValueError, match="videos must hold at least one video"):
        fit_shots([], [], ("position",), 1.0)
