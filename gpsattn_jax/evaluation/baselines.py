"""Plain classifiers on the same split, from scikit-learn: the row beside ours."""

from typing import Any, Protocol

import numpy as np

# Beyond so many images a baseline sees an even part of them; logistic regression would
# take hours, and is left out.
MOST_NEIGHBOURS, MOST_FOR_REGRESSION = 10_000, 5_000


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
    from sklearn.neighbors import KNeighborsClassifier

    guess = DummyClassifier().fit(np.zeros((len(train), 1)), train.labels)
    shares = {"commonest class": guess.score(np.zeros((len(test), 1)), test.labels)}
    places = np.arange(len(train))
    if len(train) > MOST_NEIGHBOURS:
        places = np.random.default_rng(0).permutation(places)[:MOST_NEIGHBOURS]
    known, labels = _vectors(train, places), train.labels[places]
    asked = _vectors(test, np.arange(len(test)))
    if len(train) <= MOST_FOR_REGRESSION:
        model = LogisticRegression(max_iter=1000).fit(known, labels)
        shares["logistic regression"] = model.score(asked, test.labels)
    shares["k-nearest neighbours"] = max(
        KNeighborsClassifier(k).fit(known, labels).score(asked, test.labels)
        for k in (1, 3, 5)
    )
    return {name: float(share) for name, share in shares.items()}


def _vectors(images, places):
    pixels = images.batch(places, None)["inputs"]["images"]
    scale = 255 if pixels.dtype == np.uint8 else 1
    return pixels.reshape(len(places), -1).astype(np.float32) / scale
