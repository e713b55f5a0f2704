"""Scores of a classifier against hand counts."""

import numpy as np
import pytest

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


def test_top_accuracy_counts_labels_among_the_largest():
    found = [classification.top_accuracy(PROBABILITIES, LABELS, n) for n in (1, 2, 3)]
    assert found == [2 / 3, 1.0, 1.0]


def test_the_table_of_classes_against_hand_counts():
    labels = np.array([0, 0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 1, 1, 2, 1, 1, 0])
    rows = classification.class_table(predicted, labels, ["run", "sit", "up", "wave"])
    assert rows[0] == ("run", 4, 0.25, 0.5, "sit")
    assert rows[1] == ("sit", 2, 1.0, 0.5, "")
    # No clip of a class, and a class that is never told: shares of nothing.
    assert rows[2][:2] == ("up", 0) and np.isnan(rows[2].recall)
    assert rows[2].precision == 0.0 and rows[2].confused_with == ""
    assert rows[3][:3] == ("wave", 1, 0.0) and np.isnan(rows[3].precision)
    assert rows[3].confused_with == "run"


@pytest.mark.parametrize("predicted, labels, why", [
    ([0, 1], [0], r"predicted must be \[n=1\]"),
    ([0], [2], "labels must be from 0 to 1; got 2"),
    ([-1], [0], "predicted must be from 0 to 1; got -1"),
    ([0.5], [0], "predicted must be whole numbers"),
    ([0], [[0]], r"labels must be whole numbers \[n\]"),
])  # fmt: skip
def test_numbers_that_are_no_class_are_refused(predicted, labels, why):
    with pytest.raises(ValueError, match=why):
        classification.class_table(np.array(predicted), np.array(labels), "ab")


def test_fusion_is_a_weighted_mean():
    other = PROBABILITIES[:, ::-1]
    fused = classification.fuse([PROBABILITIES, other], [3, 1])
    np.testing.assert_allclose(fused, 0.75 * PROBABILITIES + 0.25 * other)
    np.testing.assert_allclose(fused.sum(-1), 1)
    double = classification.fuse([PROBABILITIES, other], [0.6, 0.2])
    np.testing.assert_allclose(double, fused)
    alone = classification.fuse([PROBABILITIES, other], [1, 0])
    np.testing.assert_allclose(alone, PROBABILITIES)


@pytest.mark.parametrize("streams, weights, why", [
    ([], [], "streams must hold at least one"),
    ([PROBABILITIES] * 2, [1], r"weights must be 2 numbers, .* got \[1\]"),
    ([PROBABILITIES] * 2, [1, -1], r"weights must be at least 0.* got \[1, -1\]"),
    ([PROBABILITIES] * 2, [0, 0], r"got \[0, 0\]"),
    ([PROBABILITIES] * 2, [1, np.nan], "weights must be at least 0"),
    ([PROBABILITIES, PROBABILITIES[:2]], [1, 1], r"streams\[1\] must be \[3, 3\]"),
    ([PROBABILITIES[0]], [1], r"streams\[0\] must be \[n, classes\]"),
    ([PROBABILITIES, 5 * PROBABILITIES], [1, 1], r"streams\[1\] .* \(softmax"),
    ([PROBABILITIES * np.nan], [1], r"streams\[0\] must be probabilities"),
])  # fmt: skip
def test_what_cannot_be_fused_is_refused(streams, weights, why):
    with pytest.raises(ValueError, match=why):
        classification.fuse(streams, weights)
