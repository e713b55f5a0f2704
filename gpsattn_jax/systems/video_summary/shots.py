"""A video's shots, and which of them make a summary; times in seconds."""

import numpy as np

from gpsattn_jax import evaluation
from gpsattn_jax.data.videos.feature_transforms import unit_length

SHORTEST, LONGEST = 1.5, 20.0  # seconds of a shot, unless told otherwise
_AMONG = 3  # budgets' worth of shots of which a summary is chosen
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
    cuts: np.ndarray, change_times: np.ndarray, duration: float
) -> np.ndarray:
    """Shots in seconds, [S, 2]: a cut is where the picture changed most.

    Args:
        cuts: [m] of `find_cuts`.
        change_times: [T] seconds, of `SampledFeatures`.
        duration: seconds of the video.
    """
    bounds = np.concatenate([[0.0], change_times[cuts], [duration]])
    return np.stack([bounds[:-1], bounds[1:]], axis=1)


def shot_scores(scores: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Mean score of each shot's steps: [T], [m] -> [m + 1]."""
    return np.array([part.mean() for part in np.split(scores, cuts)])


def choose_shots(scores: np.ndarray, shots: np.ndarray, budget: float) -> np.ndarray:
    """The shots that bring most score into so many seconds.

    A shot's value is its score times its length, as in SumMe's own paper (Gygli et al.,
    ECCV 2014): by its mean score alone, as benchmarks have it, a second of black
    counts as much as a scene of ten. Only the best shots are asked, those that fill the
    budget three times: what is left of it is not to be filled with whatever fits.

    Args:
        scores: [S] mean score of each.
        shots: [S, 2] seconds, one after the other.
        budget: seconds.

    Returns:
        [S] booleans; all False if none fits.
    """
    ticks = np.round(shots * _TICKS).astype(np.int64)
    lengths = ticks[:, 1] - ticks[:, 0]
    capacity = int(budget * _TICKS + 1e-6)
    order = np.argsort(-scores, kind="stable")
    before = np.cumsum(lengths[order]) - lengths[order]
    asked = np.sort(order[before < _AMONG * capacity])
    values = (scores * lengths)[asked]
    chosen = np.zeros(len(shots), bool)
    chosen[asked[evaluation.knapsack(lengths[asked], values, capacity)]] = True
    return chosen


def best_part(
    scores: np.ndarray, rate: float, shot: np.ndarray, length: float
) -> tuple[float, float]:
    """The part of a shot with the largest mean score, the earliest of equal ones.

    Args:
        scores: [T], of the steps at 0, 1 / rate, … seconds.
        rate: steps a second.
        shot: [2] its start and end.
        length: seconds of the part; the whole shot if it is no longer.

    Returns:
        (start, end).
    """
    start, end = map(float, shot)
    if end - start <= length:
        return start, end
    starts = np.append(np.arange(start, end - length, 1 / rate), end - length)
    places = np.arange(len(scores)) / rate
    means = []
    for first in starts:
        inside = np.abs(places - first - length / 2) <= length / 2
        nearest = np.abs(places - first - length / 2).argmin()
        means.append(scores[inside].mean() if inside.any() else scores[nearest])
    first = float(starts[int(np.argmax(means))])
    return first, first + length
