"""Agreement of people by hand; rank correlations stand in correlation_test."""

import numpy as np
import pytest

from gpsattn_jax.evaluation import human_leave_one_out

USERS = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]])


@pytest.mark.parametrize("reduce, expected", [("max", 200 / 3), ("mean", 100 / 3)])
def test_each_user_against_the_others(reduce, expected):
    np.testing.assert_allclose(human_leave_one_out(USERS, reduce), expected)


def test_a_user_without_a_summary_has_no_score():
    assert np.isnan(human_leave_one_out(np.vstack([USERS, np.zeros((1, 4))])))


@pytest.mark.parametrize(
    "users, reduce, message",
    [
        (USERS[:1], "max", "user_summaries must be of at least 2 users; got"),
        (USERS * 3, "max", "user_summaries must hold 0 and 1"),
        (USERS, "sum", "reduce must be one of max, mean; got 'sum'"),
    ],
)
def test_bad_input_is_named(users, reduce, message):
    with pytest.raises(ValueError, match=message):
        human_leave_one_out(users, reduce)
