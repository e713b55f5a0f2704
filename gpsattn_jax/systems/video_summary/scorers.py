"""What scores a video's steps: a trained summariser, or nothing trained at all."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.evaluation import representativeness
from gpsattn_jax.systems import pglsum
from gpsattn_jax.systems.video_summary import frame_features

if TYPE_CHECKING:  # needs Pillow
    from gpsattn_jax.data.videos.sampled_features import SampledFeatures

_SHOTS = "_shots"  # ends the extractor's name where a shot is one time step


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Gives each step of a video its importance.

    Attributes:
        name: for people.
        extractor: of the features it wants.
        score: (features of a video, first steps of its shots but the first) -> [T].
    """

    name: str
    extractor: str
    score: Callable[["SampledFeatures", np.ndarray], np.ndarray]


def choose_scorer(checkpoint: str = "", extractor: str = "") -> Scorer:
    """The scorer of a run's last checkpoint; without one, what needs no training.

    Args:
        checkpoint: workdir of a run of PGL-SUM, or nothing.
        extractor: nothing takes the checkpoint's, or the default.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if the checkpoint's features are another extractor's.
    """
    if not checkpoint:
        name = extractor or frame_features.DEFAULT
        frame_features.find_extractor(name)
        return Scorer(representativeness.NAME, name, _representativeness)
    if extractor:
        frame_features.find_extractor(extractor)
    summarizer = pglsum.restore(checkpoint)
    own, by_shots = _frame_extractor(summarizer.config.data)
    if own not in frame_features.EXTRACTORS:
        raise ValueError(
            f"{checkpoint} was trained on features of {own}, which cannot be made "
            f"here; extractors are {', '.join(frame_features.EXTRACTORS)}."
        )
    if extractor and extractor != own:
        raise ValueError(
            f"extractor must be {own}, whose features {checkpoint} was trained on; "
            f"got {extractor}."
        )
    score = _score_shots if by_shots else _score_steps
    return Scorer(
        f"PGL-SUM of {checkpoint}, step {summarizer.step}",
        own,
        lambda sampled, cuts: score(summarizer, sampled, cuts),
    )


def _frame_extractor(data):
    """(extractor of a run's features, whether a shot is a time step)."""
    by_shots = data.layout == "shots"
    return data.extractor.removesuffix(_SHOTS if by_shots else ""), by_shots


def _representativeness(sampled, cuts):
    return representativeness.representativeness(sampled.features, cuts)


def _score_steps(summarizer, sampled, cuts):
    del cuts
    video = Video("video", sampled.features, sampled.indices, sampled.num_frames)
    return pglsum.score_steps(summarizer, [video])["video"]


def _score_shots(summarizer, sampled, cuts):
    """As it was trained: one frame of a shot, here its middle, stands for it."""
    bounds = np.concatenate([[0], cuts, [len(sampled)]])
    middles = (bounds[:-1] + bounds[1:] - 1) // 2
    starts = np.concatenate([[0], sampled.change_indices[cuts]])
    video = Video("video", sampled.features[middles], starts, sampled.num_frames)
    return np.repeat(pglsum.score_steps(summarizer, [video])["video"], np.diff(bounds))
