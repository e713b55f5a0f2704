"""Scores of a classifier, from probabilities and labels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ClassRow(NamedTuple):
    """How one class fares; a share of nothing is NaN."""

    name: str
    clips: int  # that have this label
    recall: float  # of them, the share recognised as this class
    precision: float  # of all recognised as this class, the share that is
    confused_with: str  # the commonest class of its mistakes; "" without


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
    """Counts by (label, predicted class).

    Args:
        predicted: [n] places of classes.
        labels: likewise.
        num_classes: how many there are.

    Returns:
        int64 [classes, classes].
    """
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def top_classes(
    probabilities: np.ndarray, class_names: Sequence[str], count: int
) -> list[tuple[str, float]]:
    """The most probable classes of one example.

    Args:
        probabilities: [classes].
        class_names: a name for each.
        count: how many classes.

    Returns:
        [(name, probability)], the most probable first.
    """
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [(class_names[place], float(probabilities[place])) for place in order]


def top_accuracy(probabilities: np.ndarray, labels: np.ndarray, count: int) -> float:
    """Share of rows whose label is among the most probable classes.

    Args:
        probabilities: [n, classes].
        labels: [n] places of classes.
        count: how many classes count as the most probable.
    """
    chosen = probabilities[np.arange(len(labels)), labels]
    larger = (probabilities > chosen[:, None]).sum(-1)
    return float((larger < count).mean())


def class_table(
    predicted: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> list[ClassRow]:
    """A row for each class, in the order of their names.

    Args:
        predicted: [n] places of classes.
        labels: likewise.
        class_names: a name for each class.

    Raises:
        ValueError: if the lengths differ, or a number is no class.
    """
    predicted, labels = _classes("predicted", predicted), _classes("labels", labels)
    if predicted.shape != labels.shape:
        raise ValueError(
            f"predicted must be [n={len(labels)}], as labels; got {predicted.shape}."
        )
    for name, numbers in (("predicted", predicted), ("labels", labels)):
        wrong = numbers[(numbers < 0) | (numbers >= len(class_names))]
        if wrong.size:
            raise ValueError(
                f"{name} must be from 0 to {len(class_names) - 1}; got {wrong[0]}."
            )
    counts = confusion_matrix(predicted, labels, len(class_names))
    right, mistakes = np.diag(counts), counts - np.diag(np.diag(counts))
    with np.errstate(invalid="ignore"):
        recall, precision = right / counts.sum(1), right / counts.sum(0)
    return [
        ClassRow(
            name,
            int(counts[place].sum()),
            float(recall[place]),
            float(precision[place]),
            class_names[mistakes[place].argmax()] if mistakes[place].any() else "",
        )
        for place, name in enumerate(class_names)
    ]


def fuse(streams: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Weighted mean of several networks' probabilities for the same examples.

    Args:
        streams: of each network [n, classes], rows that sum to one (after softmax).
        weights: one for each, at least 0; only their ratios count.

    Returns:
        [n, classes], rows that sum to one.

    Raises:
        ValueError: names what `streams` or `weights` must be.
    """
    arrays, shares = [np.asarray(one, float) for one in streams], np.asarray(weights)
    if not arrays:
        raise ValueError("streams must hold at least one array; got none.")
    if shares.shape != (len(arrays),):
        raise ValueError(
            f"weights must be {len(arrays)} numbers, one for each stream; "
            f"got {list(weights)}."
        )
    if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.any()):
        raise ValueError(
            f"weights must be at least 0, and one above; got {list(weights)}."
        )
    for place, one in enumerate(arrays):
        _check_probabilities(f"streams[{place}]", one, arrays[0].shape)
    return np.tensordot(shares / shares.sum(), np.stack(arrays), 1)


def _check_probabilities(name, rows, shape):
    if rows.ndim != 2 or rows.shape != shape:
        axes = ", ".join(map(str, shape)) if len(shape) == 2 else "n, classes"
        raise ValueError(f"{name} must be [{axes}]; got {rows.shape}.")
    # Sums of half precision are off by no more; logits are, by far.
    if not ((rows >= 0).all() and np.allclose(rows.sum(-1), 1, atol=1e-2)):
        raise ValueError(
            f"{name} must be probabilities, rows that sum to one (softmax of logits)."
        )


def _classes(name, numbers):
    numbers = np.asarray(numbers)
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(
            f"{name} must be whole numbers [n]; got {numbers.dtype} {numbers.shape}."
        )
    return numbers
