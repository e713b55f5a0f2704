"""A video's shots, and which of them make a summary; times in seconds."""

import numpy as np

from gpsattn_jax import evaluation
from gpsattn_jax.data.videos.feature_transforms import unit_length

SHORTEST, LONGEST = 1.5, 20.0  # seconds of a shot, by default
_AMONG = 3  # budgets' worth of shots of which a summary is chosen
_LITTLE = 0.5  # seconds of a budget that may stay unused without a word
_TICKS = 100  # a second's; the knapsack wants whole numbers


def find_cuts(
    features: np.ndarray,
    rate: float,
    *,
    penalty: float = 1.0,
    shortest: float = SHORTEST,
    longest: float = LONGEST,
) -> np.ndarray:
    """Where shots begin, by kernel temporal segmentation.

    Args:
        features: [T, D]; they are normalised here.
        rate: steps a second.
        penalty: `vmax` of `evaluation.kts`: more gives fewer shots.
        shortest: seconds of the shortest shot; a shorter video is one shot.
        longest: seconds of the longest, at least twice the shortest, in whole steps.

    Returns:
        [m] ascending, the first step of each shot but the first.
    """
    lmin = min(max(1, round(shortest * rate)), len(features))
    lmax = max(round(longest * rate), 2 * lmin)
    normed = unit_length(features)
    return evaluation.kts(normed, vmax=penalty, lmin=lmin, lmax=lmax).cuts


def shot_bounds(
    cuts: np.ndarray, change_times: np.ndarray, start: float, end: float
) -> np.ndarray:
    """Shots in seconds, [S, 2]: a cut is where the picture changed most.

    Args:
        cuts: [m] of `find_cuts`.
        change_times: [T] seconds, of `SampledFeatures`.
        start: seconds at which the picture begins.
        end: seconds at which it ends.
    """
    bounds = np.concatenate([[start], change_times[cuts], [end]])
    return np.stack([bounds[:-1], bounds[1:]], axis=1)


def shot_scores(scores: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Mean score of each shot's steps: [T], [m] -> [m + 1]."""
    return np.array([part.mean() for part in np.split(scores, cuts)])


def choose_shots(scores: np.ndarray, shots: np.ndarray, budget: float) -> np.ndarray:
    """The shots that bring most score into so many seconds.

    A shot's value is its score times its length, as in SumMe's own paper (Gygli et al.,
    ECCV 2014): by its mean score alone, as benchmarks have it, a second of black
    counts as much as a scene of ten. First, only the best shots count, those that fill
    the budget three times; what is left of it then goes to the next best that fits.

    Args:
        scores: [S] mean score of each.
        shots: [S, 2] seconds, one after the other.
        budget: seconds.

    Returns:
        [S] booleans; all False if none of the best fits.
    """
    ticks = np.round(shots * _TICKS).astype(np.int64)
    lengths = ticks[:, 1] - ticks[:, 0]
    capacity = int(budget * _TICKS + 1e-6)
    order = np.argsort(-scores, kind="stable")
    before = np.cumsum(lengths[order]) - lengths[order]
    best = np.sort(order[before < _AMONG * capacity])
    values = (scores * lengths)[best]
    chosen = np.zeros(len(shots), bool)
    chosen[best[evaluation.knapsack(lengths[best], values, capacity)]] = True
    if not chosen.any():
        return chosen
    for place in order:
        if not chosen[place] and lengths[chosen].sum() + lengths[place] <= capacity:
            chosen[place] = True
    return chosen


def explain_rest(shots: np.ndarray, chosen: np.ndarray, budget: float) -> str:
    """Why some of the budget stays unused, in words; "" if little of it does.

    Args:
        shots: [S, 2] seconds.
        chosen: [S] booleans of `choose_shots`.
        budget: seconds.
    """
    lengths = shots[:, 1] - shots[:, 0]
    rest = budget - lengths[chosen].sum()
    if rest < _LITTLE or chosen.all():
        return ""
    return (
        f"no other shot fits into the {rest:.2f} s left; the shortest has "
        f"{lengths[~chosen].min():.2f} s"
    )


def best_part(
    scores: np.ndarray, times: np.ndarray, shot: np.ndarray, length: float
) -> tuple[float, float]:
    """The part of a shot with the largest mean score, the earliest of equal ones.

    Args:
        scores: [T], of the steps.
        times: [T] seconds of the steps, at even distances.
        shot: [2] its start and end.
        length: seconds of the part; the whole shot if it is no longer.

    Returns:
        (start, end).
    """
    start, end = map(float, shot)
    if end - start <= length:
        return start, end
    step = times[1] - times[0] if len(times) > 1 else end - start
    starts = np.append(np.arange(start, end - length, step), end - length)
    means = []
    for first in starts:
        inside = np.abs(times - first - length / 2) <= length / 2
        nearest = np.abs(times - first - length / 2).argmin()
        means.append(scores[inside].mean() if inside.any() else scores[nearest])
    first = float(starts[int(np.argmax(means))])
    return first, first + length
