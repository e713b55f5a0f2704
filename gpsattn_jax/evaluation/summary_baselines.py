"""How well people agree with each other: the rows beside a model's scores."""

import numpy as np

from gpsattn_jax.evaluation import correlation, fscore


def human_leave_one_out(user_summaries: np.ndarray, reduce: str = "max") -> float:
    """F-score of one user's summary against the others', in percent, mean over users.

    Args:
        user_summaries: [U, frames], 0 and 1, U at least 2.
        reduce: "max" takes the best of the others (SumMe), "mean" all of them (TVSum).

    Returns:
        0..100; nan if a user has no score (see `f_score`).

    Raises:
        ValueError: names what `user_summaries` or `reduce` must be.
    """
    users = fscore.check_users(user_summaries)
    fscore.check_reduce(reduce)
    _check_others("user_summaries", users)
    scores = [
        fscore.f_score(user, np.delete(users, place, 0), reduce)
        for place, user in enumerate(users)
    ]
    return float(np.mean(scores))


def human_rank_correlation(users: np.ndarray) -> correlation.RankCorrelation:
    """Rank correlation of each user's scores with the others'.

    Args:
        users: [U, T], U at least 2.

    Returns:
        For each user the mean over the others; their mean is that of all pairs.

    Raises:
        ValueError: names what `users` must be.
    """
    users = correlation.check_users(users)
    _check_others("users", users)
    tau = _mean_of_others(correlation.kendall_matrix(users))
    rho = _mean_of_others(correlation.spearman_matrix(users))
    return correlation.RankCorrelation(float(tau.mean()), float(rho.mean()), tau, rho)


def _check_others(name, users):
    if len(users) < 2:
        raise ValueError(f"{name} must be of at least 2 users; got {users.shape}.")


def _mean_of_others(matrix):
    others = ~np.eye(len(matrix), dtype=bool)
    return np.array(
        [row[kept].mean() for row, kept in zip(matrix, others, strict=True)]
    )
