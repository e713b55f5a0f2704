"""Rank correlation of scores with users' scores: Kendall's tau-b and Spearman's rho."""

from typing import NamedTuple

import numpy as np


class RankCorrelation(NamedTuple):
    """Rank correlations of a video.

    Attributes:
        tau: Kendall's tau-b, the mean of `tau_per_user`; nan if one of them is.
        rho: Spearman's rho, likewise.
        tau_per_user: [U]; nan where one side is constant, since it ranks nothing.
        rho_per_user: [U], likewise.
    """

    tau: float
    rho: float
    tau_per_user: np.ndarray
    rho_per_user: np.ndarray


def rank_correlation(scores: np.ndarray, users: np.ndarray) -> RankCorrelation:
    """Correlation of scores with each user's: the protocol of TVSum.

    Otani et al., "Rethinking the Evaluation of Video Summaries", CVPR 2019.

    Args:
        scores: [T].
        users: [U, T], such as every 15th frame of the users' frame scores.

    Raises:
        ValueError: names the argument with another shape, fewer than two steps or a
            number that is not finite.
    """
    users = check_users(users)
    scores = np.asarray(scores, np.float64)
    if scores.shape != users.shape[1:]:
        raise ValueError(f"scores must be [T={users.shape[1]}]; got {scores.shape}.")
    if not np.isfinite(scores).all():
        wrong = np.flatnonzero(~np.isfinite(scores))[0]
        raise ValueError(f"scores must be finite; scores[{wrong}] is {scores[wrong]}.")
    tau = np.array([_kendall(scores, user) for user in users])
    rho = spearman_matrix(np.vstack([scores, users]))[0, 1:]
    return RankCorrelation(float(tau.mean()), float(rho.mean()), tau, rho)


def rank_correlation_with_mean(
    scores: np.ndarray, users: np.ndarray
) -> RankCorrelation:
    """Correlation of scores with the mean of all users, as one user: SumMe's protocol.

    Args:
        scores: [T].
        users: [U, T].

    Raises:
        ValueError: as `rank_correlation`.
    """
    return rank_correlation(scores, check_users(users).mean(0, keepdims=True))


def spearman_matrix(rows: np.ndarray) -> np.ndarray:
    """Spearman's rho of each row with each: [R, T] -> [R, R]; nan if one is constant.

    The cosine of the centred ranks, ties ranked by their mean.
    """
    from scipy.stats import rankdata  # a second to import; few callers need it

    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        ranks /= np.linalg.norm(ranks, axis=1, keepdims=True)
    return ranks @ ranks.T


def kendall_matrix(rows: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of each row with each other: [R, T] -> [R, R].

    The diagonal is 1; nan where one of two rows is constant.
    """
    matrix = np.eye(len(rows))
    for first, second in zip(*np.triu_indices(len(rows), 1), strict=True):
        tau = _kendall(rows[first], rows[second])
        matrix[first, second] = matrix[second, first] = tau
    return matrix


def check_users(users: np.ndarray) -> np.ndarray:
    """Users' scores as float64 [U, T], U at least 1, T at least 2, finite.

    Raises:
        ValueError: says what they are instead.
    """
    users = np.asarray(users, np.float64)
    if users.ndim != 2 or len(users) < 1 or users.shape[1] < 2:
        raise ValueError(
            f"users must be [U, T], at least one user and two steps; got {users.shape}."
        )
    if not np.isfinite(users).all():
        user, step = np.argwhere(~np.isfinite(users))[0]
        raise ValueError(
            f"users must be finite; users[{user}, {step}] is {users[user, step]}."
        )
    return users


def _kendall(first, second):
    from scipy.stats import kendalltau

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return kendalltau(first, second).statistic
