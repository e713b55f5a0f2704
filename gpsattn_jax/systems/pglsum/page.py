"""The report of a PGL-SUM run: every test video's scores, shots and summary."""

import os
import pathlib

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.systems import reports
from gpsattn_jax.systems.pglsum import tables
from gpsattn_jax.systems.pglsum.run import restore
from gpsattn_jax.systems.pglsum.scores import opinions, summary_of
from gpsattn_jax.training.config import Machine
from gpsattn_jax.visualize.summary_scores import scores_figure

WORDS = "Scores over frames; shots are set apart, those of a 15 % summary shaded."


def report(
    workdir: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    choose: str = "best",
    *,
    averaged: bool = False,
    data_dir: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> pathlib.Path:
    """Writes a plot for each test video, and `index.html`; returns the page's path.

    Args:
        workdir: of one trained run.
        folder: where to; `report/` in the workdir by default.
        choose: "latest" checkpoint, or the "best".
        averaged: take the moving averages of the weights.
        data_dir: the folder of data sets.
        with_baselines: whether rows that need no network are wanted.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no such run, or a file of data is not there.
    """
    folder = reports.report_folder(workdir, folder)
    run = restore(workdir, choose, averaged=averaged, machine=machine)
    found = tables.evaluate_run(
        pathlib.Path(workdir), choose,
        averaged=averaged, data_dir=data_dir, machine=machine,
    )  # fmt: skip
    rows = found.rows
    if with_baselines:
        data = found.config.data
        rows = rows | tables.baselines(found.videos, data, workdir=workdir)
    table = tables.table({title: [row] for title, row in rows.items()})
    words = "Loss, and Kendall's tau, by step."
    drawings = reports.learning(workdir, ("loss", "tau"), words)
    for video in found.videos:
        heading = f"{video.name}: {video.title}" if video.title else video.name
        drawings[heading] = draw_video(video, found.scores[video.name]), WORDS
    return reports.write_report(
        folder,
        f"PGL-SUM on {run.config.data.file}, split {run.config.data.split}",
        run,
        [reports.table_section("Scores", *table)],
        drawings,
        {"test_videos": len(found.videos), "scores": rows},
        workdir=workdir,
        machine=machine,
    )


def draw_video(video: Video, scores: np.ndarray) -> Figure:
    """Scores, shots, the chosen ones, and the users' mean, by frame."""
    if video.shots is None:  # then a time step is a shot, and nothing is chosen
        shots = np.stack([video.picks, np.append(video.picks[1:], video.num_frames)], 1)
        chosen = np.zeros(len(shots), bool)
    else:
        shots = video.shots + [0, 1]
        chosen = summary_of(video, scores)[video.shots[:, 0]] > 0
    return scores_figure(
        video.picks, scores, shots, chosen,
        users=_users(video), title=video.title or video.name, unit="frames",
    )  # fmt: skip


def _users(video):
    """The users' mean for each time step, in 0..1."""
    users = opinions(video, every=1)
    if users is None:
        return None
    mean = users.mean(0)
    if video.annotations is not None:  # scores of 1 to 5
        mean = (mean - 1) / 4
    ends = np.append(video.picks[1:], len(mean))
    bounds = zip(video.picks, np.maximum(ends, video.picks + 1), strict=True)
    return np.array([mean[a:b].mean() if a < len(mean) else 0 for a, b in bounds])
