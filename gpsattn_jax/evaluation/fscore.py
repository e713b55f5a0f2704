"""F-scores of a summary against the users' own summaries."""

import numpy as np

REDUCE = ("max", "mean")


def f_score(
    summary: np.ndarray, user_summaries: np.ndarray, reduce: str = "max"
) -> float:
    """F-score of a summary, in percent, over all users.

    Args:
        summary: [frames], 0 and 1.
        user_summaries: [U, frames'], 0 and 1; the shorter are padded with 0.
        reduce: "max" takes the best user (SumMe), "mean" all of them (TVSum).

    Returns:
        0..100. nan for "max" if no user has a score, for "mean" if one has none: see
        `f_scores`.

    Raises:
        ValueError: names the argument that is not [frames] or [U, frames] of 0 and 1,
            and an unknown `reduce`.
    """
    check_reduce(reduce)
    scores = f_scores(summary, user_summaries)
    return reduce_scores(scores, reduce)


def f_scores(summary: np.ndarray, user_summaries: np.ndarray) -> np.ndarray:
    """F-score of a summary against each user, in percent.

    F = 200 P R / (P + R) of precision P and recall R over frames; 0 if they share none.

    Args:
        summary: [frames], 0 and 1.
        user_summaries: [U, frames'], 0 and 1; the shorter are padded with 0.

    Returns:
        [U]; nan where the summary or the user's is empty, since P or R is then 0 / 0.

    Raises:
        ValueError: names the argument that is not [frames] or [U, frames] of 0 and 1.
    """
    summary = _binary("summary", summary, "[frames]", 1)
    users = check_users(user_summaries)
    length = min(len(summary), users.shape[1])
    shared = users[:, :length] @ summary[:length]
    with np.errstate(invalid="ignore"):
        precision = shared / summary.sum()
        recall = shared / users.sum(1)
        # In this order the last bit is the community's, too.
        scores = 2 * precision * recall * 100 / (precision + recall)
    some = (summary.sum() > 0) & (users.sum(1) > 0)
    return np.where(some & (shared == 0), 0.0, scores)


def reduce_scores(scores: np.ndarray, reduce: str) -> float:
    """Scores of users as one: the maximum leaves nan out, the mean does not."""
    if reduce == "mean":
        return float(scores.mean())
    known = scores[~np.isnan(scores)]
    return float(known.max()) if len(known) else float("nan")


def check_reduce(reduce: str) -> None:
    """Raises ValueError for a way to reduce users that is not in REDUCE."""
    if reduce not in REDUCE:
        raise ValueError(f"reduce must be one of {', '.join(REDUCE)}; got {reduce!r}.")


def check_users(user_summaries: np.ndarray) -> np.ndarray:
    """Users' summaries as float64 [U, frames] of 0 and 1, U at least 1.

    Raises:
        ValueError: says what they are instead.
    """
    return _binary("user_summaries", user_summaries, "[U, frames], U at least 1", 2)


def _binary(name, array, shape, ndim):
    array = np.asarray(array)
    if array.ndim != ndim or not len(array):
        raise ValueError(f"{name} must be {shape}; got {array.shape}.")
    wrong = (array != 0) & (array != 1)
    if wrong.any():
        raise ValueError(f"{name} must hold 0 and 1 alone; got {array[wrong][0]}.")
    return array.astype(np.float64)  # counts stay exact, and products are fast
