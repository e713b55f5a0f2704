"""Summaries against the original's, and what the protocol says of odd cases."""

import json

import numpy as np
import pytest

from gpsattn_jax.evaluation import (
    f_score,
    f_scores,
    frame_scores,
    select_shots,
    shot_values,
    summarize,
)

SHOTS = np.array([[0, 29], [30, 39], [40, 99]])
PICKS = np.arange(0, 100, 10)
SCORES = np.linspace(0.1, 1.0, 10)


def test_the_original_makes_the_same_summaries_and_scores(golden):
    files = sorted((golden / "pglsum").glob("e*.npz"))
    assert len(files) == 31
    for file in files:
        with np.load(file) as case:
            given = [case[name] for name in ("scores", "change_points", "picks")]
            given.append(int(case["n_frames"]))
            if json.loads(str(case["config"]))["error"]:
                with pytest.raises(ValueError, match="scores must be"):
                    summarize(*given)
                continue
            summary, users = summarize(*given), case["user_summary"]
            found = [f_score(summary, users, how) for how in ("mean", "max")]
            expected = [case["f_avg"], case["f_max"]]
            np.testing.assert_array_equal(summary, case["summary"], err_msg=file.name)
            assert summary.dtype == np.int8
            np.testing.assert_array_equal(f_scores(summary, users), case["f_per_user"])
            np.testing.assert_array_equal(found, expected, err_msg=file.name)


@pytest.mark.parametrize(
    "scores, picks, num_frames, expected",
    [
        ([1, 2], [0, 2], 5, [1, 1, 2, 2, 2]),
        ([1, 2], [1, 2], 4, [0, 1, 2, 2]),
        ([1, 2], [0, 2, 4], 4, [1, 1, 2, 2]),  # the last pick begins no step
        ([1, 2, 3], [0, 2, 4], 4, [1, 1, 2, 2]),
        ([1], [0, 2], 4, [1, 1, 0, 0]),  # one score is missing
        ([], [0], 3, [0, 0, 0]),
        ([1, 2], [0.9, 2.9], 4, [1, 1, 2, 2]),  # cut to whole frames
        ([1, 2, 3], [0, 2, 2], 4, [1, 1, 3, 3]),
        ([True, False], [0, 1], 2, [1, 0]),
        ([0.5], [0], 1, [0.5]),
    ],
)
def test_each_score_fills_its_frames(scores, picks, num_frames, expected):
    found = frame_scores(np.array(scores), np.array(picks), num_frames)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_the_value_of_a_shot_is_its_mean_in_float32():
    frames = np.array([0.1, 0.2, 0.4, 0.4], np.float32)
    found = shot_values(frames, np.array([[0, 2], [3, 3]]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [frames[:3].mean(), frames[3]])


@pytest.mark.parametrize("budget", [0.01, 0.1, 0.15, 0.5, 1, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_summary_is_whole_shots_within_the_budget(seed, budget):
    draw = np.random.default_rng(seed)
    cuts = np.sort(draw.choice(np.arange(1, 300), 20, replace=False))
    bounds = np.concatenate([[0], cuts, [300]])
    shots = np.stack([bounds[:-1], bounds[1:] - 1], 1)
    summary = summarize(draw.random(20), shots, np.arange(0, 300, 15), 300, budget)
    assert summary.shape == (300,)
    assert summary.sum() <= 300 * budget
    assert all(len(np.unique(summary[a : b + 1])) == 1 for a, b in shots)
    assert summary.all() == (budget == 1)


@pytest.mark.parametrize(
    "capacity, expected",
    [(9, []), (10, [1]), (39, [1]), (40, [0, 1]), (69, [2]), (70, [1, 2])],
)
def test_shots_for_a_number_of_frames(capacity, expected):
    frames = frame_scores(SCORES, PICKS, 100)
    assert select_shots(frames, SHOTS, capacity).tolist() == expected


def test_a_video_of_one_frame():
    one = np.array([[0, 0]])
    assert summarize(np.ones(1), one, np.zeros(1), 1).tolist() == [0]
    assert summarize(np.ones(1), one, np.zeros(1), 1, budget=1).tolist() == [1]


def test_the_arguments_stay_as_they_are():
    given = (SCORES.copy(), SHOTS.copy(), PICKS.copy())
    summarize(*given, 100, 0.5)
    for after, before in zip(given, (SCORES, SHOTS, PICKS), strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("budget", [0, -0.1, 1.01, np.nan, np.inf])
def test_a_budget_is_a_share(budget):
    with pytest.raises(ValueError, match=r"budget must be in \(0, 1\]; got"):
        summarize(SCORES, SHOTS, PICKS, 100, budget)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores": SCORES[:8]}, r"scores must be \[T=10\].*got \(8,\)"),
        ({"scores": np.ones(11)}, r"scores must be \[T=10\].*got \(11,\)"),
        ({"scores": SCORES[None]}, r"scores must be \[T=10\].*got \(1, 10\)"),
        ({"scores": np.where(PICKS == 30, np.nan, 1)}, r"scores\[3\] is nan"),
        ({"scores": np.full(10, 1e300)}, r"scores\[0\] is inf"),
        ({"shots": SHOTS[::-1]}, r"shots\[1\] is \[30, 39\] after frame 99"),
        ({"shots": SHOTS + 1}, r"below num_frames=100; shots\[2\] is \[41, 100\]"),
        ({"shots": SHOTS - 1}, r"shots\[0\] is \[-1, 28\]"),
        ({"shots": SHOTS[:, ::-1]}, r"shots\[0\] is \[29, 0\]"),
        ({"shots": np.array([[0, 30], [30, 99]])}, r"shots\[1\] is \[30, 99\]"),
        ({"shots": SHOTS + 0.5}, "shots must be whole numbers"),
        ({"shots": SHOTS * np.nan}, "shots must be whole numbers"),
        ({"shots": SHOTS[:0]}, r"shots must be \[S, 2\].*got \(0, 2\)"),
        ({"shots": SHOTS[0]}, r"shots must be \[S, 2\].*got \(2,\)"),
        ({"picks": PICKS[::-1]}, "picks must ascend; got 90, then 80"),
        ({"picks": PICKS + 20}, r"picks must be in 0\.\.num_frames=100; got 110"),
        ({"picks": PICKS - 1}, "picks must be in 0.*got -1"),
        ({"picks": PICKS * np.nan}, "picks must be in 0.*got nan"),
        ({"picks": PICKS[:0]}, r"picks must be \[T\], T at least 1; got \(0,\)"),
        ({"num_frames": 0, "shots": SHOTS}, "num_frames"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"scores": SCORES, "shots": SHOTS, "picks": PICKS, "num_frames": 100}
    with pytest.raises(ValueError, match=message):
        summarize(**given | change)
