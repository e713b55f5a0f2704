"""Kernel temporal segmentation: where the shots of a video without shots begin."""

import math
from typing import NamedTuple

import numpy as np

BLOCK = 64  # ends of segments handled at once: their costs stay in the cache


class Segmentation(NamedTuple):
    """Where to cut, and what each smaller number of cuts would cost.

    Attributes:
        cuts: [m] ascending; the first step of each segment but the first.
        scores: [m + 1], scatter within the segments with 0..m cuts at their best; inf
            for a number of cuts that the bounds on lengths rule out.
    """

    cuts: np.ndarray
    scores: np.ndarray


def kts(
    features: np.ndarray,
    num_cuts: int | None = None,
    *,
    max_cuts: int | None = None,
    vmax: float = 1.0,
    lmin: int = 1,
    lmax: int | None = None,
) -> Segmentation:
    """Cuts a sequence where its features change.

    Potapov et al., "Category-Specific Video Summarization", ECCV 2014, with a linear
    kernel: the cost of a segment is the scatter of its features around their mean, and
    the cuts of least total cost are found by dynamic programming, exactly. The number
    of cuts m minimises cost / T + vmax m / (2 T) (ln(T / m) + 1) if it is not given;
    the scan ends where the penalty alone is above the best sum.

    The code in common use lets the first segment have at most lmax - 1 steps; here it
    may have lmax, as all others.

    Memory is 8 bytes for each pair of steps up to `lmax` apart (16 MB for T = 2,000,
    207 MB for 7,200 without a bound, 38 MB with one of 600), 8 T D, and 4 T for each
    number of cuts tried.

    Args:
        features: [T, D], L2-normalised if `vmax` is to mean what it does elsewhere.
        num_cuts: how many; chosen automatically by default.
        max_cuts: the most that are tried automatically; T - 1 by default.
        vmax: weight of the penalty of the automatic choice, at least 0.
        lmin: steps of the shortest segment.
        lmax: steps of the longest; any by default.

    Raises:
        ValueError: names what `features` or an option must be, and bounds on lengths
            that no number of cuts fits.
    """
    features = _check_features(features)
    length = len(features)
    lmax = length if lmax is None else min(lmax, length)
    counts = _check_counts(length, num_cuts, max_cuts, lmin, lmax)
    if not 0 <= vmax < math.inf:
        raise ValueError(f"vmax must be at least 0; got {vmax}.")
    blocks = _segment_costs(features, lmin, lmax)
    scratch = np.empty(max(costs.size for _, _, costs in blocks))
    reach = np.full(length + 1, np.inf)  # least cost of the first t steps
    reach[0] = 0
    scores, origins = [], []
    chosen, least = 0, math.inf
    for count in range(counts[-1] + 1):
        penalty = _penalty(count, length, vmax) if num_cuts is None else 0.0
        if penalty >= least:
            break  # it only grows, and costs are not negative
        reach, origin = _one_more_segment(reach, blocks, scratch)
        scores.append(reach[-1])
        origins.append(origin)
        if count in counts and reach[-1] / length + penalty < least:
            chosen, least = count, reach[-1] / length + penalty
    return Segmentation(_trace(origins[: chosen + 1]), np.array(scores[: chosen + 1]))


def _penalty(count, length, vmax):
    if not count:
        return 0.0
    return vmax * count / (2 * length) * (math.log(length / count) + 1)


def _segment_costs(features, lmin, lmax):
    """Costs in blocks (first start, first end, [ends, starts]); inf outside lmin..lmax.

    A segment is [start, end). Its scatter is the sum of its squares less the square of
    its sum over its length; both sums are differences of running sums.
    """
    length = len(features)
    sums, squares = _running_sums(features)
    norms = np.einsum("td,td->t", sums, sums)
    blocks = []
    for first in range(lmin, length + 1, BLOCK):
        ends = slice(first, min(first + BLOCK, length + 1))
        starts = slice(max(0, first - lmax), ends.stop - lmin)
        costs = sums[ends] @ sums[starts].T
        costs *= 2
        costs -= norms[ends, None]
        costs -= norms[starts]
        steps = np.arange(ends.start, ends.stop)[:, None] - np.arange(length)[starts]
        costs /= np.maximum(steps, 1)
        costs += squares[ends, None]
        costs -= squares[starts]
        np.maximum(costs, 0, out=costs)
        costs[(steps < lmin) | (steps > lmax)] = np.inf
        blocks.append((starts.start, first, costs))
    return blocks


def _running_sums(features):
    """Sums of the first t steps and of their squares: [T + 1, D], [T + 1], float64."""
    sums = np.zeros((len(features) + 1, features.shape[1]))
    centred, squares = sums[1:], np.zeros(len(sums))
    # Scatter does not see the mean; without it a running sum is small, and what cancels
    # in a difference of two is at most T times the whole scatter.
    np.subtract(features, features.mean(0, dtype=np.float64), out=centred)
    np.einsum("td,td->t", centred, centred, out=squares[1:])
    np.cumsum(centred, axis=0, out=centred)
    return sums, np.cumsum(squares)


def _one_more_segment(reach, blocks, scratch):
    """Least costs with a segment more, and where that segment starts: [T + 1] each."""
    reached = np.full(len(reach), np.inf)
    origin = np.zeros(len(reach), np.int32)
    for start, end, costs in blocks:
        rows, columns = costs.shape
        totals = scratch[: costs.size].reshape(costs.shape)  # fresh memory is slow
        np.add(costs, reach[start : start + columns], out=totals)
        best = totals.argmin(1)
        reached[end : end + rows] = totals[np.arange(rows), best]
        origin[end : end + rows] = start + best
    return reached, origin


def _trace(origins):
    cuts, end = [], -1
    for origin in reversed(origins[1:]):
        end = int(origin[end])
        cuts.append(end)
    return np.array(cuts[::-1], np.int64)


def _check_features(features):
    features = np.asarray(features)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must be [T, D], T, D > 0; got {features.shape}.")
    finite = np.isfinite(features).all(1)
    if not finite.all():
        raise ValueError(
            f"features must be finite; row {np.flatnonzero(~finite)[0]} of "
            f"{len(features)} is not."
        )
    return features


def _check_counts(length, num_cuts, max_cuts, lmin, lmax):
    """The numbers of cuts that may be chosen, a range that is not empty."""
    if lmin < 1:
        raise ValueError(f"lmin must be at least 1; got {lmin}.")
    if lmax < 1:
        raise ValueError(f"lmax must be at least 1; got {lmax}.")
    for name, value in (("num_cuts", num_cuts), ("max_cuts", max_cuts)):
        if value is not None and not 0 <= value < length:
            raise ValueError(f"{name} must be in 0..T-1={length - 1}; got {value}.")
    least, most = -(-length // lmax) - 1, length // lmin - 1
    if num_cuts is not None:
        fits, cuts_in_words = range(num_cuts, num_cuts + 1), f"{num_cuts} cuts"
    else:
        max_cuts = length - 1 if max_cuts is None else max_cuts
        fits, cuts_in_words = range(max_cuts + 1), f"at most {max_cuts} cuts"
    counts = range(max(least, fits[0]), min(most, fits[-1]) + 1)
    # Whole segments of lmin..lmax steps: every count between the two bounds fits.
    if not counts or lmin > lmax:
        raise ValueError(
            f"T={length} steps with {cuts_in_words} do not divide into segments of "
            f"lmin={lmin} to lmax={lmax} steps."
        )
    return counts
