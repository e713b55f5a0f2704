"""Plain classifiers on the same split, from scikit-learn: the row beside ours."""

import numpy as np


def baseline_accuracies(
    train_images: np.ndarray,
    train_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
) -> dict[str, float]:
    """Accuracy of the commonest class, logistic regression and k-nearest neighbours.

    Args:
        train_images: [n, H, W, C]; each image is one vector of its pixels.
        train_labels: [n].
        test_images: [m, H, W, C].
        test_labels: [m].

    Returns:
        {name: accuracy}; scikit-learn's defaults, for k-NN the better of k = 1, 3, 5 on
        the test images, which favours the baseline.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    train, test = (a.reshape(len(a), -1) for a in (train_images, test_images))

    def score(model):
        return float(model.fit(train, train_labels).score(test, test_labels))

    return {
        "commonest class": score(DummyClassifier()),
        "logistic regression": score(LogisticRegression(max_iter=1000)),
        "k-nearest neighbours": max(score(KNeighborsClassifier(k)) for k in (1, 3, 5)),
    }
