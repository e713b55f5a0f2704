"""Plain classifiers on the same split, from scikit-learn: the row beside ours."""

import itertools
from typing import Any, Protocol

import numpy as np

from gpsattn_jax.progress import with_progress

# Beyond so many images a baseline sees an even part of them; logistic regression would
# take hours, and is left out.
MOST_NEIGHBOURS, MOST_FOR_REGRESSION = 10_000, 5_000
_NEIGHBOURS = 1, 3, 5
_BATCH = 256  # images from one sign of progress to the next


class LabelledImages(Protocol):
    """Images of one size by place."""

    @property
    def labels(self) -> np.ndarray:
        """[n]."""

    def __len__(self) -> int:
        """How many."""

    def batch(self, places: np.ndarray, seeds: None) -> dict[str, Any]:
        """{"inputs": {"images": [k, H, W, C]}, …}."""


def baseline_accuracies(
    train: LabelledImages, test: LabelledImages
) -> dict[str, float]:
    """Accuracy of the commonest class, logistic regression and k-nearest neighbours.

    Each image is one vector of its pixels. Of large sets the neighbours are 10,000
    training images drawn at random (seed 0).

    Args:
        train: what they learn from.
        test: what is scored.

    Returns:
        {name: accuracy}; scikit-learn's defaults, for k-NN the better of k = 1, 3, 5 on
        the test images, which favours the baseline.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    guess = DummyClassifier().fit(np.zeros((len(train), 1)), train.labels)
    shares = {"commonest class": guess.score(np.zeros((len(test), 1)), test.labels)}
    places = np.arange(len(train))
    if len(train) > MOST_NEIGHBOURS:
        places = np.random.default_rng(0).permutation(places)[:MOST_NEIGHBOURS]
    known, labels = _vectors(train, places, "training"), train.labels[places]
    asked = _vectors(test, np.arange(len(test)), "test")
    if len(train) <= MOST_FOR_REGRESSION:
        model = LogisticRegression(max_iter=1000).fit(known, labels)
        shares["logistic regression"] = model.score(asked, test.labels)
    shares["k-nearest neighbours"] = _nearest(known, labels, asked, test.labels)
    return {name: float(share) for name, share in shares.items()}


def baseline_names(train: LabelledImages) -> list[str]:
    """The rows that `baseline_accuracies` has for a training set."""
    regression = ["logistic regression"] * (len(train) <= MOST_FOR_REGRESSION)
    return ["commonest class", *regression, "k-nearest neighbours"]


def _nearest(known, labels, asked, right):
    """The best accuracy of k = 1, 3, 5."""
    from sklearn.neighbors import KNeighborsClassifier

    starts = range(0, len(asked), _BATCH)
    jobs = with_progress(
        itertools.product(_NEIGHBOURS, starts),
        len(_NEIGHBOURS) * len(starts),
        "Baselines: nearest neighbours, batches",
    )
    models = {k: KNeighborsClassifier(k).fit(known, labels) for k in _NEIGHBOURS}
    hits = dict.fromkeys(_NEIGHBOURS, 0)
    for k, start in jobs:
        part = slice(start, start + _BATCH)
        hits[k] += int((models[k].predict(asked[part]) == right[part]).sum())
    return max(hits.values()) / len(asked)


def _vectors(images, places, part):
    """[n, H * W * C] float32 in 0..1, read in batches: files are decoded here."""
    starts = range(0, len(places), _BATCH)
    what = f"Baselines: {part} images, batches"
    rows = None
    for start in with_progress(starts, len(starts), what):
        chosen = places[start : start + _BATCH]
        pixels = images.batch(chosen, None)["inputs"]["images"]
        scale = 255 if pixels.dtype == np.uint8 else 1
        pixels = pixels.reshape(len(chosen), -1).astype(np.float32) / scale
        if rows is None:
            rows = np.empty((len(places), pixels.shape[1]), np.float32)
        rows[start : start + _BATCH] = pixels
    return rows
