"""What is done to a video's features before a network sees them: [T, C] -> [T, C]."""

from collections.abc import Callable

import numpy as np


def unchanged(features: np.ndarray) -> np.ndarray:
    """As they are in the file."""
    return features


def unit_length(features: np.ndarray) -> np.ndarray:
    """Each step divided by its Euclidean norm, as CNN features come."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, 1e-12)


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": unchanged,
    "l2": unit_length,
}
