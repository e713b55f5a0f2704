"""Scores of masks: intersection over union of each class, and its mean.

From counts of pixels by (label, prediction), which are added up over a whole set before
anything is divided, as the field does.
"""

import numpy as np

IGNORE = 255  # in a mask: a pixel that counts nowhere


def pixel_counts(
    predicted: np.ndarray, mask: np.ndarray, num_classes: int, ignore: int = IGNORE
) -> np.ndarray:
    """Counts of pixels by (label, predicted class); add them up over pictures.

    Args:
        predicted: [...] whole numbers, places of classes.
        mask: likewise, or `ignore`.
        num_classes: how many there are.
        ignore: what does not count.

    Returns:
        int64 [classes, classes].

    Raises:
        ValueError: if the shapes differ, or a number is no class.
    """
    if predicted.shape != mask.shape:
        raise ValueError(
            f"predicted must be {mask.shape}, as mask; got {predicted.shape}."
        )
    counted = mask != ignore
    labels, found = mask[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for name, numbers in (("predicted", found), ("mask", labels)):
        wrong = numbers[(numbers < 0) | (numbers >= num_classes)]
        if wrong.size:
            raise ValueError(
                f"{name} must be from 0 to {num_classes - 1}; got {wrong[0]}."
            )
    # One number for each pair: a million pixels are counted in milliseconds.
    pairs = np.bincount(num_classes * labels + found, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def class_ious(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class: [classes, classes] -> [classes].

    NaN for a class that is in no mask and in no prediction; one that is in predictions
    alone has 0.
    """
    both = np.diag(counts)
    with np.errstate(invalid="ignore"):
        return both / (counts.sum(0) + counts.sum(1) - both)


def mean_iou(counts: np.ndarray) -> float:
    """Mean of `class_ious` over the classes that are there; NaN if none is."""
    ious = class_ious(counts)
    there = ~np.isnan(ious)
    return float(ious[there].mean()) if there.any() else float("nan")


def pixel_accuracy(counts: np.ndarray) -> float:
    """Share of the pixels whose class is right; NaN if there are none."""
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def constant_counts(counts: np.ndarray, chosen: int) -> np.ndarray:
    """The counts if every pixel were said to be of one class: a trivial baseline.

    Args:
        counts: [classes, classes], of any predictions for the same masks.
        chosen: the class.
    """
    found = np.zeros_like(counts)
    found[:, chosen] = counts.sum(1)
    return found
