"""F-scores against hand counts; the original's files stand in shots_test."""

import numpy as np
import pytest

from gpsattn_jax.evaluation import f_score, f_scores

USERS = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_scores_by_hand_and_no_warning(recwarn):
    found = f_scores(np.array([1, 1, 0, 0]), USERS)
    np.testing.assert_array_equal(found, [100, 0, 50, np.nan])
    assert not recwarn.list


def test_an_empty_summary_has_no_score(recwarn):
    assert np.isnan(f_scores(np.zeros(4), USERS)).all()
    assert np.isnan(f_score(np.zeros(4), USERS, "max"))
    assert not recwarn.list


def test_the_maximum_leaves_nan_out_and_the_mean_does_not():
    summary = np.array([1, 1, 0, 0])
    assert f_score(summary, USERS) == 100
    assert np.isnan(f_score(summary, USERS, "mean"))
    assert f_score(summary, USERS[:3], reduce="mean") == 50


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float32])
def test_the_shorter_is_padded_with_zeros(dtype):
    summary = np.array([1, 1, 0], dtype)
    longer = np.array([[1, 1, 0, 1, 1]], dtype)
    expected = 100 * 2 * 2 / (2 + 4)
    np.testing.assert_allclose(f_scores(summary, longer), expected)
    np.testing.assert_allclose(f_scores(longer[0], summary[None]), expected)


def test_many_frames_overflow_no_small_integer():
    summary = np.ones(70_000, np.int8)
    assert f_score(summary, summary[None].astype(np.uint8)) == 100


@pytest.mark.parametrize(
    "summary, users, reduce, message",
    [
        ([1, 0], USERS, "median", "reduce must be one of max, mean; got 'median'"),
        ([1, 0], USERS[:0], "max", r"user_summaries must be .*got \(0, 4\)"),
        ([1, 0], USERS[0], "max", r"user_summaries must be \[U, frames\].*\(4,\)"),
        ([1, 0], USERS * 5, "max", "user_summaries must hold 0 and 1 alone; got 5"),
        ([1, 0], USERS * np.nan, "max", "user_summaries must hold 0 and 1 alone"),
        ([0.3, 0], USERS, "max", "summary must hold 0 and 1 alone; got 0.3"),
        ([[1, 0]], USERS, "max", r"summary must be \[frames\]; got \(1, 2\)"),
        ([], USERS, "max", r"summary must be \[frames\]; got \(0,\)"),
    ],
)
def test_bad_input_is_named(summary, users, reduce, message):
    with pytest.raises(ValueError, match=message):
        f_score(np.array(summary), users, reduce)
