"""PGL-SUM on new videos, and how a video's scores are written down."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpsattn_jax import evaluation
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.systems.pglsum.run import score_steps
from gpsattn_jax.systems.pglsum.scores import summary_of
from gpsattn_jax.systems.pglsum.videos import load_videos
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.tables import check_output, path_list, write_table


def predict(
    run: TrainedRun,
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
) -> dict[str, dict[str, Any]]:
    """Scores the videos of files that need no annotations; prints a line for each.

    Args:
        run: a trained network.
        paths: HDF5 files in the layout that it was trained on.
        output: optional JSON of scores and, where there are shots, the chosen ones; or
            CSV of a row for each step.

    Returns:
        What the JSON holds, by the videos' names.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if the features are not such as the run was trained on, or two
            videos have one name.
    """
    check_output(output)
    videos: dict[str, Video] = {}
    for path in path_list(paths):
        data = dataclasses.replace(run.config.data, file=os.fspath(path))
        for name, video in load_videos(data).items():
            if name in videos:
                raise ValueError(
                    f"{path}: videos must differ in name; got {name} twice."
                )
            videos[name] = video
    scores = score_steps(run, list(videos.values()))
    found = {name: describe(video, scores[name]) for name, video in videos.items()}
    for name, video in videos.items():
        best = int(np.argmax(scores[name]))
        print(
            f"{name}  {len(video)} steps, highest {scores[name][best]:.3g} "
            f"from frame {video.picks[best]} of {video.num_frames}"
        )
    if output is not None:
        write_table(output, found, [r for v in found.items() for r in _rows(*v)])
    return found


def describe(video: Video, scores: np.ndarray) -> dict[str, Any]:
    """A video's scores and, where it has shots, what a summary keeps, for JSON."""
    description: dict[str, Any] = {
        "title": video.title,
        "picks": video.picks.tolist(),
        "scores": [_digits(score) for score in scores],
    }
    if video.shots is None:
        return description
    kept = summary_of(video, scores)
    frames = evaluation.frame_scores(scores, video.picks, video.num_frames)
    values = evaluation.shot_values(frames, video.shots)
    rows = zip(video.shots.tolist(), values.tolist(), strict=True)
    description["shots"] = [
        {"first": a, "last": b, "score": _digits(value), "chosen": bool(kept[a])}
        for (a, b), value in rows
    ]
    return description


def _rows(name, description):
    """A row for each step; whether its first frame is in the summary, if known."""
    shots = description.get("shots", [])
    chosen = [range(s["first"], s["last"] + 1) for s in shots if s["chosen"]]
    for frame, score in zip(description["picks"], description["scores"], strict=True):
        kept = any(frame in shot for shot in chosen) if shots else ""
        yield {"video": name, "frame": frame, "score": score, "chosen": kept}


def _digits(score):
    """Six digits, also of small scores: only their order counts."""
    return float(f"{score:.6g}")
