"""The report of a PGL-SUM run: every test video's scores, shots and summary."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.systems.pglsum import tables
from gpsattn_jax.systems.pglsum.scores import METRICS, opinions, summarized
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.visualize import figures, page
from gpsattn_jax.visualize.curves import learning_curves
from gpsattn_jax.visualize.summary_scores import draw_scores

WORDS = "Scores over frames; shots are set apart, those of a 15 % summary shaded."


def report(
    workdir: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    choose: str = "best",
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> pathlib.Path:
    """Writes a plot for each test video, and `index.html`; returns the page's path.

    Args:
        workdir: of one trained run.
        folder: where to; `report/` in the workdir by default.
        choose: "latest" checkpoint, or the "best".
        data_dir: the folder of data sets.
        machine: devices and processes.
    """
    workdir = pathlib.Path(workdir)
    folder = workdir / "report" if folder is None else pathlib.Path(folder)
    run = tables.evaluate_run(workdir, choose, data_dir, machine)
    curves = learning_curves(read_metrics(workdir), ("loss", "tau"))
    drawn = figures.write(curves, folder / "learning.png")
    parts = [
        ("Scores", page.table(_rows(run))),
        ("Learning", page.picture(drawn, "Loss, and Kendall's tau, by step.")),
    ]
    for video in run.videos:
        path = folder / f"{video.name}.png"
        draw_video(path, video, run.scores[video.name])
        parts.append((video.title or video.name, page.picture(path, WORDS)))
    settings = json.dumps(dataclasses.asdict(run.config), indent=2)
    parts.append(("Settings", f"<pre>{settings}</pre>"))
    title = f"PGL-SUM on {run.config.data.file}, split {run.config.data.split}"
    written = page.write_page(folder / "index.html", title, parts)
    print(f"\nReport: {written}")
    return written


def draw_video(path: pathlib.Path, video: Video, scores: np.ndarray) -> pathlib.Path:
    """Scores, shots, the chosen ones, and the users' mean, by frame."""
    if video.shots is None:  # then a time step is a shot, and nothing is chosen
        shots = np.stack([video.picks, np.append(video.picks[1:], video.num_frames)], 1)
        chosen = np.zeros(len(shots), bool)
    else:
        shots = video.shots + [0, 1]
        chosen = summarized(video, scores)[video.shots[:, 0]] > 0
    return draw_scores(
        path, video.picks, scores, shots, chosen,
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


def _rows(run):
    """A table of this network beside chance and people."""
    rows = {**run.rows, **tables.baselines(run.videos, run.config.data)}
    names = [n for n in METRICS if any(n in row for row in rows.values())]
    head = ["", *(tables.TITLES[name] for name in names)]
    body = [
        [title, *(tables.cell(name, [row.get(name, np.nan)]) for name in names)]
        for title, row in rows.items()
    ]
    return [head, *body]
