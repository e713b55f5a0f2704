"""People's own scores on SumMe and TVSum: the published figures come out."""

import numpy as np
import pytest

from gpsattn_jax.evaluation import (
    f_score,
    human_leave_one_out,
    human_rank_correlation,
    rank_correlation,
    rank_correlation_with_mean,
    summarize,
)

STRIDE = 15  # frames of a time step


@pytest.fixture(scope="module")
def summe(data_dir):
    return read(data_dir / "vsum/summe.h5", 25)


@pytest.fixture(scope="module")
def tvsum(data_dir):
    return read(data_dir / "vsum/tvsum.h5", 50)


def read(path, count):
    h5py = pytest.importorskip("h5py")
    keys = (
        "user_summary",
        "user_anno",
        "gtscore",
        "change_points",
        "picks",
        "n_frames",
    )
    with h5py.File(path) as file:
        videos = [{k: file[v][k][()] for k in keys if k in file[v]} for v in file]
    assert len(videos) == count
    return videos


def summary_of(video, scores):
    return summarize(scores, video["change_points"], video["picks"], video["n_frames"])


def mean_over(videos, score):
    return np.mean([score(video) for video in videos])


def test_people_on_summe(summe):
    def f_of_people(video):
        return human_leave_one_out(video["user_summary"], "max")

    def tau_of_people(video):
        return human_rank_correlation(video["user_summary"][:, ::STRIDE]).tau

    assert round(mean_over(summe, f_of_people), 1) == 54.3
    assert round(mean_over(summe, tau_of_people), 3) == 0.210


def test_perfect_and_random_scores_on_summe(summe):
    draw = np.random.default_rng(0)

    def f_of_perfect(video):
        return f_score(summary_of(video, video["gtscore"]), video["user_summary"])

    def f_of_random(video):
        scores = draw.random((20, len(video["picks"])))
        users = video["user_summary"]
        return np.mean([f_score(summary_of(video, row), users) for row in scores])

    def tau_of_perfect(video):
        users = video["user_summary"][:, ::STRIDE]
        return rank_correlation_with_mean(video["gtscore"], users).tau

    np.testing.assert_allclose(mean_over(summe, f_of_perfect), 64.25, atol=0.05)
    # Once through the videos the standard deviation is 1.5; 20 times, 0.34.
    np.testing.assert_allclose(mean_over(summe, f_of_random), 40.0, atol=1.5)
    np.testing.assert_allclose(mean_over(summe, tau_of_perfect), 1, atol=1e-3)


def test_people_and_perfect_scores_on_tvsum(tvsum):
    people, perfect = [], []
    for video in tvsum:
        users = video["user_anno"][:, ::STRIDE]
        people.append(human_rank_correlation(users)[:2])
        perfect.append(rank_correlation(video["gtscore"], users)[:2])
    np.testing.assert_array_equal(np.mean(people, axis=0).round(3), [0.177, 0.204])
    np.testing.assert_array_equal(np.mean(perfect, axis=0).round(3), [0.378, 0.473])
