"""What is done to a video's features before a network takes them."""

import dataclasses
from collections.abc import Callable

import numpy as np

from gpsattn_jax.data.videos.videos import Video


def identity(features: np.ndarray) -> np.ndarray:
    """As they are in the file."""
    return features


def unit_length(features: np.ndarray) -> np.ndarray:
    """Each step divided by its Euclidean norm, as CNN features come."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, 1e-12)


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": identity,
    "l2": unit_length,
}

TIME_CHANNELS = 2


def transform_video(video: Video, transform: str, relative_time: bool = False) -> Video:
    """The video with the features that a network takes.

    Args:
        video: as it was read.
        transform: a key of `TRANSFORMS`.
        relative_time: append `TIME_CHANNELS`: cos(pi t) and cos(2 pi t), where t is the
            middle of a time step as a share of the video. They set the beginning,
            the middle and the end of a video apart, whatever its length.
    """
    features = TRANSFORMS[transform](video.features)
    if relative_time:
        ends = np.append(video.picks[1:], video.num_frames)
        angle = np.pi * (video.picks + ends)[:, None] / (2 * video.num_frames)
        features = np.hstack([features, np.cos(angle), np.cos(2 * angle)])
    return dataclasses.replace(video, features=features.astype(np.float32))
