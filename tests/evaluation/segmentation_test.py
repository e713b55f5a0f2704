"""Mean IoU: against a naive twin, scikit-learn, and figures computed by hand."""

import numpy as np
import pytest

from gpsattn_jax.evaluation.segmentation import (
    IGNORE,
    class_ious,
    constant_counts,
    mean_iou,
    pixel_accuracy,
    pixel_counts,
)


def naive_ious(predicted, mask, classes):
    """Pixel by pixel, as the measure is defined."""
    found = []
    for number in range(classes):
        both = either = 0
        for one, other in zip(predicted.ravel(), mask.ravel(), strict=True):
            if other != IGNORE:
                both += one == number and other == number
                either += one == number or other == number
        found.append(both / either if either else np.nan)
    return np.array(found)


@pytest.fixture
def masks():
    """Predictions and masks of three pictures of other sizes; class 4 is nowhere."""
    draw = np.random.default_rng(0)
    shapes = [(6, 5), (3, 9), (8, 2)]
    masks = [
        draw.choice([0, 1, 2, 3, IGNORE], shape).astype(np.uint8) for shape in shapes
    ]
    return [(draw.integers(0, 4, mask.shape), mask) for mask in masks]


def flat(masks):
    return [np.concatenate([pair[i].ravel() for pair in masks]) for i in (0, 1)]


def test_counts_add_up_over_pictures_as_in_the_naive_twin(masks):
    counts = sum(pixel_counts(predicted, mask, 5) for predicted, mask in masks)
    wanted = naive_ious(*flat(masks), 5)
    np.testing.assert_allclose(class_ious(counts), wanted)
    assert np.isnan(wanted[4])  # absent: it is in no mean
    assert mean_iou(counts) == pytest.approx(wanted[:4].mean())


def test_scikit_learn_agrees(masks):
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    predicted, mask = flat(masks)
    there = mask != IGNORE
    counts = pixel_counts(predicted, mask, 4)
    wanted = metrics.jaccard_score(mask[there], predicted[there], average=None)
    np.testing.assert_allclose(class_ious(counts), wanted)
    wanted = metrics.accuracy_score(mask[there], predicted[there])
    assert pixel_accuracy(counts) == pytest.approx(wanted)


def test_a_class_that_is_only_predicted_counts_as_zero():
    counts = pixel_counts(np.array([0, 1]), np.array([0, 0]), 3)
    np.testing.assert_array_equal(class_ious(counts), [0.5, 0, np.nan])
    assert mean_iou(counts) == 0.25


def test_nothing_but_ignored_pixels_has_no_mean():
    counts = pixel_counts(np.zeros(3, int), np.full(3, IGNORE), 2)
    assert np.isnan(mean_iou(counts)) and np.isnan(pixel_accuracy(counts))


def test_one_class_everywhere_is_scored_without_a_prediction(masks):
    predicted, mask = flat(masks)
    counts = constant_counts(pixel_counts(predicted, mask, 5), 2)
    np.testing.assert_array_equal(counts, pixel_counts(np.full_like(mask, 2), mask, 5))


@pytest.mark.parametrize(
    ("predicted", "mask", "message"),
    [
        ([0, 1], [0], r"predicted must be \(1,\), as mask; got \(2,\)"),
        ([5], [0], "predicted must be from 0 to 2; got 5"),
        ([0], [3], "mask must be from 0 to 2; got 3"),
        ([-1], [0], "predicted must be from 0 to 2; got -1"),
    ],
)
def test_what_is_no_class_is_named(predicted, mask, message):
    with pytest.raises(ValueError, match=message):
        pixel_counts(np.array(predicted), np.array(mask), 3)
