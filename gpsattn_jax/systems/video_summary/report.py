"""Pictures of a video's summary: a storyboard and a plot of the scores."""

import os
import pathlib
import tempfile

import numpy as np

from gpsattn_jax.files import as_text
from gpsattn_jax.systems.video_summary.run import Summary
from gpsattn_jax.visualize.storyboard import draw_storyboard, shorten
from gpsattn_jax.visualize.summary_scores import draw_scores


def picture_paths(
    output: str | os.PathLike, folder: str | os.PathLike | None = None
) -> tuple[pathlib.Path, pathlib.Path]:
    """NAME_storyboard.png and NAME_scores.png, NAME being the summary's.

    Args:
        output: the mp4 of the summary.
        folder: of the pictures; the mp4's by default.
    """
    output = pathlib.Path(output)
    where = output.parent if folder is None else pathlib.Path(folder)
    return where / f"{output.stem}_storyboard.png", where / f"{output.stem}_scores.png"


def draw_summary(
    summary: Summary, output: str | os.PathLike, folder: str | os.PathLike | None = None
) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes the two pictures of `picture_paths`; each appears whole or not at all.

    Args:
        summary: of the video.
        output: the mp4 of the summary.
        folder: of the pictures; the mp4's by default.

    Returns:
        Their paths.

    Raises:
        OSError: if they cannot be written.
    """
    paths = picture_paths(output, folder)
    # Who scored is not to be left out where titles are shorten: it comes first.
    title = f"{summary.scorer} ({shorten(as_text(pathlib.Path(output).stem), 15)})"
    sampled, chosen = summary.video, summary.chosen
    frames = [sampled.picture(step) for step in storyboard_steps(summary)]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths[0].parent, prefix=".pictures") as made:
        storyboard, scores = (pathlib.Path(made) / path.name for path in paths)
        draw_storyboard(
            storyboard, frames, summary.shots, summary.shot_scores, chosen, title=title
        )
        draw_scores(
            scores,
            sampled.step_times(),
            summary.scores,
            summary.shots,
            chosen,
            title=title,
        )
        os.replace(storyboard, paths[0])
        os.replace(scores, paths[1])
    return paths


def storyboard_steps(summary: Summary) -> np.ndarray:
    """The step that stands for each shot: in its middle, or of the part kept: [S]."""
    middles = summary.shots.mean(1)
    if not summary.whole_shots:
        ((start, end),) = summary.segments
        middles[summary.chosen] = (start + end) / 2
    steps = np.round((middles - summary.video.start) * summary.video.rate).astype(int)
    return np.clip(steps, 0, len(summary.video) - 1)
