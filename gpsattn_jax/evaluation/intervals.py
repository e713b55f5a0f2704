"""95 % intervals of means: over splits that overlap, and over the examples themselves.

A figure of each of many random splits is no independent sample: their training sets
share most of their examples. Taken for independent, such figures give intervals that
are far too narrow.
"""

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean and where it may lie; nan where there is too little to say.

    Attributes:
        mean: of the values.
        low: the lower end.
        high: the upper end.
    """

    mean: float
    low: float
    high: float

    def excludes(self, value: float = 0.0) -> bool:
        """Whether a value lies outside."""
        return bool(self.low > value or self.high < value)


def corrected_interval(
    values: np.ndarray, test_share: float, confidence: float = 0.95
) -> Interval:
    """Of the mean over random splits, by the corrected resampled t-test.

    The variance of the mean of J values is not s^2 / J but s^2 (1 / J + n_test /
    n_train): Nadeau and Bengio, "Inference for the Generalization Error", Machine
    Learning 52 (2003); for repeated cross-validation Bouckaert and Frank (2004). The
    differences of two models on the same splits compare them.

    Args:
        values: [J], one for each split.
        test_share: n_test / n_train of a split; 0.25 where a fifth is tested.
        confidence: that the interval holds the mean.

    Raises:
        ValueError: names the argument and what it must be.
    """
    values = _check(values, confidence)
    if not test_share > 0:
        raise ValueError(f"test_share must be above 0; got {test_share}.")
    from scipy.stats import t  # a second to import; few callers need it

    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Interval(mean, np.nan, np.nan)
    error = values.std(ddof=1) * np.sqrt(1 / count + test_share)
    half = float(t.ppf((1 + confidence) / 2, count - 1) * error)
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(
    values: np.ndarray, confidence: float = 0.95, *, draws: int = 10_000, seed: int = 0
) -> Interval:
    """Of the mean over examples, such as videos: percentiles of resampled means.

    Examples are drawn with replacement. The differences of two models on the same
    examples compare them; that other training sets would give other models is not in
    it.

    Args:
        values: [n], one for each example.
        confidence: that the interval holds the mean.
        draws: how many times n examples are drawn.
        seed: of the draws.

    Raises:
        ValueError: names the argument and what it must be.
    """
    values = _check(values, confidence)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, np.nan, np.nan)
    places = np.random.default_rng(seed).integers(
        len(values), size=(draws, len(values))
    )
    means = values[places].mean(1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def _check(values, confidence):
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values must be [n], n at least 1; got {values.shape}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1); got {confidence}.")
    return values
