"""Representativeness: what stands for much scores high, what comes back less."""

import numpy as np
import pytest

from gpsattn_jax.evaluation.representativeness import representativeness

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: video)")


def scenes(*places, noise=0.01):
    """Steps near some corners of a space: (corner, steps) each."""
    draw = np.random.default_rng(0)
    corners = np.repeat([corner for corner, _ in places], [n for _, n in places])
    return np.eye(8)[corners] + noise * draw.standard_normal((len(corners), 8))


def test_scores_are_the_same_again_and_in_0_to_1():
    features = scenes((0, 10), (1, 20), (2, 5), (0, 8))
    scores = representativeness(features, num_clusters=3)
    assert scores.shape == (43,) and scores.dtype == np.float32
    assert (scores > 0).all() and (scores <= 1).all()
    np.testing.assert_array_equal(scores, representativeness(features, num_clusters=3))


def test_a_large_cluster_scores_above_a_small_one():
    scores = representativeness(scenes((0, 4), (1, 40), (2, 4)), num_clusters=3)
    assert scores[4:44].mean() > 2 * scores[:4].mean()


def test_the_nearest_to_a_centre_scores_best_within_a_run():
    features = scenes((0, 9), noise=0)
    features[:, 1] = np.linspace(-1, 1, 9)
    scores = representativeness(features, num_clusters=1)
    assert scores.argmax() == 4 and (np.diff(scores[:5]) > 0).all()


def test_what_comes_back_counts_half_and_a_third():
    features = scenes((0, 6), (1, 6), (0, 6), (1, 6), (0, 6), noise=0)
    scores = representativeness(features, num_clusters=2)
    np.testing.assert_allclose(scores[12:18], scores[:6] / 2, rtol=1e-6)
    np.testing.assert_allclose(scores[24:], scores[:6] / 3, rtol=1e-6)


def test_a_cut_makes_two_runs_of_one():
    features = scenes((0, 6), (1, 6), noise=0)
    scores = representativeness(features, [3, 6], num_clusters=2)
    np.testing.assert_allclose(scores[3:6], scores[:3] / 2, rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_still_pictures_score_alike(steps):
    assert set(representativeness(np.ones((steps, 4)))) == {1.0}


@pytest.mark.parametrize(
    ("features", "clusters", "message"),
    [
        (np.ones((0, 4)), None, r"features must be \[T, D\], T, D > 0; got \(0, 4\)"),
        (np.ones(4), None, r"features must be \[T, D\]"),
        (np.full((3, 4), np.nan), None, "features must be finite"),
        (np.ones((3, 4)), 0, "num_clusters must be at least 1; got 0"),
    ],
)
def test_wrong_arguments_are_named(features, clusters, message):
    with pytest.raises(ValueError, match=message):
        representativeness(features, num_clusters=clusters)
