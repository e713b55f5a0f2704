"""Scores of a classifier against hand counts."""

import numpy as np

from gpsattn_jax.evaluation import classification

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4]])
LABELS = np.array([0, 2, 2])


def test_accuracy_and_cross_entropy():
    assert classification.accuracy(PROBABILITIES, LABELS) == 2 / 3
    expected = -np.log([0.7, 0.4, 0.4]).mean()
    np.testing.assert_allclose(
        classification.cross_entropy(PROBABILITIES, LABELS), expected
    )


def test_cross_entropy_of_an_impossible_label_is_finite():
    sure = np.array([[1.0, 0.0]], np.float32)
    assert np.isfinite(classification.cross_entropy(sure, np.array([1])))


def test_confusion_matrix_counts_by_label_and_prediction():
    counts = classification.confusion_matrix(PROBABILITIES.argmax(-1), LABELS, 3)
    np.testing.assert_array_equal(counts, [[1, 0, 0], [0, 0, 0], [0, 1, 1]])


def test_top_classes_are_ordered():
    assert classification.top_classes(PROBABILITIES[1], "abc", 2) == [
        ("b", 0.5),
        ("c", 0.4),
    ]
