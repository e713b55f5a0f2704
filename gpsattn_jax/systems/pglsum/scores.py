"""What a video's scores are worth: F-score of the summary, rank correlation."""

from collections.abc import Sequence

import numpy as np

from gpsattn_jax import evaluation
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.systems.pglsum.setups import DataConfig

EVERY = 15  # frames from one compared frame to the next, as the community does
METRICS = ("f_score", "tau", "rho")


def score_video(video: Video, scores: np.ndarray, data: DataConfig) -> dict[str, float]:
    """F-score in percent, Kendall's tau-b, Spearman's rho; those that can be known.

    The F-score needs shots and users' summaries. Correlations compare every 15th frame
    with the users' scores, or their summaries where there are no scores. nan: not
    defined, since the scores are constant or the summary is empty.
    """
    found = {}
    if video.shots is not None and video.summaries is not None:
        summary = summary_of(video, scores)
        found["f_score"] = evaluation.f_score(summary, video.summaries, data.reduce)
    users = opinions(video)
    if users is not None:
        compare = {
            "each_user": evaluation.rank_correlation,
            "mean_user": evaluation.rank_correlation_with_mean,
        }[data.against]
        correlation = compare(*compared_frames(video, scores, users))
        found |= {"tau": correlation.tau, "rho": correlation.rho}
    return found


def compared_frames(
    video: Video, scores: np.ndarray, users: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores [n] and users' scores [U, n] of the frames that both have.

    Args:
        video: that is scored.
        scores: [T], one for each step.
        users: [U, m], as `opinions` gives them.
    """
    frames = evaluation.frame_scores(scores, video.picks, video.num_frames)
    frames = frames[::EVERY][: users.shape[1]]
    return frames, users[:, : len(frames)]


def known_metrics(videos: Sequence[Video]) -> list[str]:
    """Metrics that every one of the videos has."""
    shots = all(v.shots is not None and v.summaries is not None for v in videos)
    people = all(opinions(video) is not None for video in videos)
    return ["f_score"] * shots + ["tau", "rho"] * people


def summary_of(video: Video, scores: np.ndarray, budget: float = 0.15) -> np.ndarray:
    """The frames that a summary keeps, int8."""
    if video.shots is None:
        raise ValueError(f"{video.name} must have shots to be summarised.")
    return evaluation.summarize(
        scores, video.shots, video.picks, video.num_frames, budget
    )


def score_people(video: Video, data: DataConfig) -> dict[str, float]:
    """The same figures of one person against the others, if any; mean over all."""
    found = {}
    if video.summaries is not None and len(video.summaries) > 1:
        found["f_score"] = evaluation.human_leave_one_out(video.summaries, data.reduce)
    users = opinions(video)
    if users is not None and len(users) > 1:
        people = evaluation.human_rank_correlation(users)
        found |= {"tau": people.tau, "rho": people.rho}
    return found


def opinions(video: Video, every: int = EVERY) -> np.ndarray | None:
    """Users' scores of every so many frames [U, n], or their summaries."""
    users = video.summaries if video.annotations is None else video.annotations
    return None if users is None else users[:, ::every]


def mean_scores(
    found: Sequence[dict[str, float]], best_metric: str | None = None
) -> dict[str, float]:
    """Means over videos of each metric that every video has.

    Args:
        found: of each video.
        best_metric: for a log, where nan does not stand: a metric that is not defined
            for some video is left out, but this one, in which such a video counts 0.
    """
    means = {}
    for name in METRICS:
        values = [video[name] for video in found if name in video]
        if not values or len(values) < len(found):
            continue
        if best_metric is not None and np.isnan(values).any():
            if name != best_metric:
                continue
            values = np.nan_to_num(values).tolist()
        means[name] = float(np.mean(values))
    return means
