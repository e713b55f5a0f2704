"""Rank correlations against SciPy's, the stored ones, and their own symmetries."""

import numpy as np
import pytest
import scipy.stats

from gpsattn_jax.evaluation import (
    RankCorrelation,
    human_rank_correlation,
    rank_correlation,
    rank_correlation_with_mean,
)


@pytest.fixture
def users():
    return np.random.default_rng(0).integers(1, 6, (4, 50))


@pytest.fixture
def scores():
    return np.random.default_rng(1).random(50).round(1)


def test_the_stored_values_come_out(golden):
    with np.load(golden / "pglsum/x_rank_correlation.npz") as cases:
        names = sorted({key.split("/")[0] for key in cases} - {"config"})
        assert len(names) == 10
        for name in names:
            scores, users = cases[f"{name}/pred"], cases[f"{name}/users"]
            found = rank_correlation(scores, users)
            mean = rank_correlation_with_mean(scores, users)
            for field in RankCorrelation._fields:
                expected = cases[f"{name}/{field}"]
                np.testing.assert_allclose(getattr(found, field), expected, atol=1e-9)
            for field in ("tau", "rho"):
                expected = cases[f"{name}/{field}_vs_mean"]
                np.testing.assert_allclose(getattr(mean, field), expected, atol=0.02)


def test_each_user_is_scipys(scores, users):
    found = rank_correlation(scores, users)
    for place, user in enumerate(users):
        tau = scipy.stats.kendalltau(scores, user).statistic
        rho = scipy.stats.spearmanr(scores, user).statistic
        np.testing.assert_allclose(found.tau_per_user[place], tau, atol=1e-12)
        np.testing.assert_allclose(found.rho_per_user[place], rho, atol=1e-12)
    assert found.tau == found.tau_per_user.mean()


def test_only_the_order_counts(scores, users):
    found = rank_correlation(scores, users)
    np.testing.assert_allclose(rank_correlation(np.exp(scores), users).tau, found.tau)
    np.testing.assert_allclose(rank_correlation(-scores, users).rho, -found.rho)


def test_a_user_agrees_with_itself(users):
    found = rank_correlation(users[1], users)
    np.testing.assert_allclose([found.tau_per_user[1], found.rho_per_user[1]], 1)


def test_the_mean_user_is_one_user(scores, users):
    found = rank_correlation_with_mean(scores, users)
    expected = rank_correlation(scores, users.mean(0)[None])
    assert found.tau_per_user.shape == (1,)
    assert (found.tau, found.rho) == (expected.tau, expected.rho)


def test_what_is_constant_ranks_nothing_and_warns_of_nothing(scores, users, recwarn):
    assert np.isnan(rank_correlation(np.full(50, 0.3), users).tau_per_user).all()
    users[2] = 5
    found = rank_correlation(scores, users)
    for values in (found.tau_per_user, found.rho_per_user):
        np.testing.assert_array_equal(np.isnan(values), [False, False, True, False])
    assert np.isnan(found.tau) and np.isnan(found.rho)
    assert not recwarn.list


def test_people_are_compared_in_pairs(users):
    found = human_rank_correlation(users)
    alone = [rank_correlation(user, np.delete(users, place, 0)) for place, user in
             enumerate(users)]  # fmt: skip
    np.testing.assert_allclose(found.tau_per_user, [other.tau for other in alone])
    np.testing.assert_allclose(found.rho_per_user, [other.rho for other in alone])
    np.testing.assert_allclose(found.rho, np.mean([other.rho for other in alone]))


@pytest.mark.parametrize(
    "scores, users, message",
    [
        (np.ones(4), np.ones((2, 5)), r"scores must be \[T=5\]; got \(4,\)"),
        (np.ones((5, 1)), np.ones((2, 5)), r"scores must be \[T=5\]"),
        (np.ones(5), np.ones((0, 5)), r"users must be \[U, T\].*got \(0, 5\)"),
        (np.ones(5), np.ones(5), r"users must be \[U, T\].*got \(5,\)"),
        (np.ones(1), np.ones((2, 1)), "two steps"),
        (np.array([1, np.nan]), np.ones((2, 2)), r"scores\[1\] is nan"),
        (np.ones(2), np.array([[1, np.inf]]), r"users\[0, 1\] is inf"),
    ],
)
@pytest.mark.parametrize("function", [rank_correlation, rank_correlation_with_mean])
def test_bad_input_is_named(function, scores, users, message):
    with pytest.raises(ValueError, match=message):
        function(scores, users)


def test_one_user_has_no_others(users):
    with pytest.raises(ValueError, match=r"users must be of at least 2 users"):
        human_rank_correlation(users[:1])
