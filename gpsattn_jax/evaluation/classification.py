"""Scores of a classifier, from probabilities and labels."""

from collections.abc import Sequence

import numpy as np


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows whose largest entry is the label: [n, classes], [n] -> 0..1."""
    return float((probabilities.argmax(-1) == labels).mean())


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log(probability of the label), in nats: [n, classes], [n]."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


def confusion_matrix(
    predicted: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
    """Counts by (label, predicted class): [n], [n] -> [classes, classes]."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def top_classes(
    probabilities: np.ndarray, class_names: Sequence[str], count: int
) -> list[tuple[str, float]]:
    """The most probable classes of one example: [classes] -> [(name, probability)]."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [(class_names[place], float(probabilities[place])) for place in order]


def top_accuracy(probabilities: np.ndarray, labels: np.ndarray, count: int) -> float:
    """Share of rows with the label among the `count` largest: [n, classes], [n]."""
    chosen = probabilities[np.arange(len(labels)), labels]
    larger = (probabilities > chosen[:, None]).sum(-1)
    return float((larger < count).mean())
