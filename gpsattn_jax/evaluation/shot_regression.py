"""Importance of shots by ridge regression: position, local contrast, colours.

A small model beside the networks, solved in one step: within each video, the rank of a
shot's importance is a linear function of what `describe_shots` says of it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from gpsattn_jax.evaluation.representativeness import representativeness

GROUPS = ("position", "contrast", "representativeness", "duration", "colours")
WINDOWS = (1, 2, 4)  # shots on each side; the whole video comes beside them


@dataclasses.dataclass(frozen=True)
class ShotRegression:
    """A fitted model.

    Attributes:
        groups: of `GROUPS` that it looks at.
        scale: [D] deviation of each column within the training videos.
        weights: [D].
    """

    groups: tuple[str, ...]
    scale: np.ndarray
    weights: np.ndarray

    def score(self, shots: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores [T] of a video's shots, as `describe_shots` gives them."""
        return _columns(shots, self.groups) / self.scale @ self.weights


def describe_shots(
    features: np.ndarray, picks: np.ndarray, num_frames: int
) -> dict[str, np.ndarray]:
    """What the model may look at, columns [T, d] by the name of their group.

    position: cos(pi t) and cos(2 pi t) of a shot's middle t as a share of the video;
    contrast: distance of a shot's colours from the mean of the others within windows of
    several sizes, and within the video; representativeness: see there; duration: the
    logarithm of its frames; colours: the histogram itself. Histograms are compared by
    the square roots of their bins (Hellinger's distance).

    Args:
        features: [T, C] histograms.
        picks: [T] first frame of each shot.
        num_frames: of the video.
    """
    ends = np.append(picks[1:], num_frames)
    angle = np.pi * (picks + ends) / (2 * num_frames)
    roots = np.sqrt(np.maximum(features, 0)).astype(np.float64)
    return {
        "position": np.stack([np.cos(angle), np.cos(2 * angle)], 1),
        "contrast": np.stack(
            [_contrast(roots, size) for size in (*WINDOWS, len(roots))], 1
        ),
        "representativeness": representativeness(features)[:, None].astype(np.float64),
        "duration": np.log(np.maximum(ends - picks, 1))[:, None],
        "colours": roots,
    }


def fit_shots(
    videos: Sequence[Mapping[str, np.ndarray]],
    targets: Sequence[np.ndarray],
    groups: Sequence[str],
    penalty: float,
) -> ShotRegression:
    """Fits the ranks of importance within each video; every video counts the same.

    Args:
        videos: as `describe_shots` gives them.
        targets: [T] importance of each video's shots.
        groups: of `GROUPS` that the model looks at.
        penalty: on the squares of its weights, in units of the columns' variance.

    Raises:
        ValueError: for other groups, or without a video.
    """
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown or not groups:
        raise ValueError(
            f"groups must be among {', '.join(GROUPS)}; got {', '.join(unknown)}."
        )
    if not videos:
        raise ValueError("videos must hold at least one video; got none.")
    columns = np.concatenate([_columns(shots, groups) for shots in videos])
    ranks = np.concatenate([_ranks(target) for target in targets])
    shares = np.concatenate(
        [np.full(len(target), 1 / len(target)) for target in targets]
    ) / len(videos)
    scale = np.maximum(np.sqrt(shares @ np.square(columns)), 1e-9)
    columns = columns / scale
    weighted = columns * shares[:, None]
    gram = weighted.T @ columns + penalty * np.eye(columns.shape[1])
    weights = np.linalg.solve(gram, weighted.T @ ranks)
    return ShotRegression(tuple(groups), scale, weights)


def _columns(shots, groups):
    """[T, D], centred within the video: only differences within one are compared."""
    columns = np.hstack([shots[group] for group in groups])
    return columns - columns.mean(0)


def _ranks(target):
    """Ranks as shares of the video, centred; ties share their mean."""
    from scipy.stats import rankdata  # a second to import; few callers need it

    ranks = rankdata(target) / len(target)
    return ranks - ranks.mean()


def _contrast(roots, size):
    """Distance of each step from the mean of the others up to `size` steps away."""
    steps = np.arange(len(roots))
    near = np.abs(steps[:, None] - steps) <= size
    np.fill_diagonal(near, False)
    counts = near.sum(1, keepdims=True)
    means = np.where(counts > 0, near @ roots / np.maximum(counts, 1), roots)
    return np.linalg.norm(roots - means, axis=1)
