"""Which steps stand for a video, by clusters of its features: nothing is trained."""

import math
from collections.abc import Sequence

import numpy as np

NAME = "untrained: cluster representativeness"


def representativeness(
    features: np.ndarray,
    cuts: Sequence[int] | np.ndarray = (),
    *,
    num_clusters: int | None = None,
) -> np.ndarray:
    """Scores steps by how well they stand for much of the video, and are no repeats.

    K-means gathers like steps, wherever they are. A step scores

        sqrt(n / n_max) x 1 / (1 + d / d_mean) x 1 / r

    with n the steps of its cluster and n_max those of the largest, d its distance from
    the cluster's centre and d_mean that of all steps, and r the rank of its run
    (consecutive steps of one cluster and shot) among the cluster's runs, by their
    nearest step: what comes back is shown once before it is shown twice.

    Args:
        features: [T, D].
        cuts: the first step of each shot but the first.
        num_clusters: at most; sqrt(T / 2) by default, an old rule of thumb (Mardia et
            al., "Multivariate Analysis", 1979, p. 365).

    Returns:
        [T] float32 in (0, 1]; the same for the same features.

    Raises:
        ValueError: says what `features` or `num_clusters` must be.
        ImportError: if scikit-learn is not installed.
    """
    features = _check(features, num_clusters)
    count = num_clusters or round(math.sqrt(len(features) / 2))
    labels, distances = _clusters(features, max(1, count))
    mean = distances.mean()
    nearness = 1 / (1 + distances / mean) if mean > 0 else np.ones(len(features))
    sizes = np.bincount(labels)
    weights = np.sqrt(sizes / sizes.max())[labels]
    return (weights * nearness / _ranks(labels, distances, cuts)).astype(np.float32)


def _clusters(features, count):
    """Each step's cluster and its distance from the centre: [T] and [T]."""
    from sklearn.cluster import KMeans

    count = min(count, len(np.unique(features, axis=0)))
    clusters = KMeans(count, n_init=4, random_state=0).fit(features)
    centres = clusters.cluster_centers_[clusters.labels_]
    return clusters.labels_, np.linalg.norm(features - centres, axis=1)


def _ranks(labels, distances, cuts):
    """The rank of each step's run among those of its cluster, from 1: [T]."""
    changes = np.flatnonzero(np.diff(labels, prepend=-1))
    starts = np.union1d(changes, np.asarray(cuts, np.int64))
    nearest = np.minimum.reduceat(distances, starts)
    ranks, counts = np.empty(len(starts)), np.zeros(labels.max() + 1, np.int64)
    for run in np.argsort(nearest, kind="stable"):
        cluster = labels[starts[run]]
        counts[cluster] += 1
        ranks[run] = counts[cluster]
    return np.repeat(ranks, np.diff(starts, append=len(labels)))


def _check(features, num_clusters):
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must be [T, D], T, D > 0; got {features.shape}.")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite; got NaN or infinity.")
    if num_clusters is not None and num_clusters < 1:
        raise ValueError(f"num_clusters must be at least 1; got {num_clusters}.")
    return features
