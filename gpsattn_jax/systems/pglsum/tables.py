"""PGL-SUM's results on test videos: beside chance and people, over splits, seeds."""

import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.files import write_json
from gpsattn_jax.progress import with_progress
from gpsattn_jax.systems import grids, named_networks, tables
from gpsattn_jax.systems.baseline_rows import content_mark, kept_rows
from gpsattn_jax.systems.pglsum.paper_protocol import paper_rows
from gpsattn_jax.systems.pglsum.prediction import describe
from gpsattn_jax.systems.pglsum.run import from_weights, restore, score_steps
from gpsattn_jax.systems.pglsum.scores import (
    METRICS,
    mean_scores,
    score_people,
    score_video,
)
from gpsattn_jax.systems.pglsum.setups import Config, DataConfig
from gpsattn_jax.systems.pglsum.videos import load_videos, num_splits, split_videos
from gpsattn_jax.training.config import Machine

Row = dict[str, float]

TITLES = {"f_score": "F", "tau": "tau", "rho": "rho"}
DIGITS = {"f_score": 1, "tau": 3, "rho": 3}  # percent, and correlations
CHANCES = 20  # random scorings of each video, averaged


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A run on its test videos.

    Attributes:
        config: of the run.
        videos: the test videos.
        scores: [T] of each, by its name.
        rows: {title: mean metrics}; several ways to choose an epoch have a row each.
    """

    config: Config
    videos: list[Video]
    scores: dict[str, np.ndarray]
    rows: dict[str, Row]


def evaluate(
    workdir: str | os.PathLike,
    choose: str = "best",
    *,
    data_dir: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> dict[str, list[Row]]:
    """Prints a run's scores on its test videos, beside chance and people.

    Writes `evaluation.json`, each video's metrics, scores and shots, into the workdir.
    A folder of runs (`split-0/seed-0/…`) gives mean ± sd (n - 1) over all of them.

    Args:
        workdir: of a run, or of many.
        choose: "latest" checkpoint, or the "best".
        data_dir: the folder of data sets.
        with_baselines: whether rows that need no network are wanted.
        machine: devices and processes.

    Returns:
        {name in the table: metrics, those of each run}.

    Raises:
        FileNotFoundError: if there is no finished run, or a file of data is not there.
    """
    folders = grids.run_folders(workdir)
    found = (
        evaluate_run(folder, choose, data_dir=data_dir, machine=machine)
        for folder in folders
    )
    return _print_runs(folders, found, with_baselines)


def evaluate_weights(
    config: Config,
    workdir: str | os.PathLike,
    *,
    split: str | None = None,
    data_dir: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> dict[str, list[Row]]:
    """The same for the weights in the file `config.init_from`, as they are.

    Args:
        config: whose network and data they are for.
        workdir: `evaluation.json` comes into `split-0/seed-0/` and so on.
        split: number of the split, or "all"; the config's own if None.
        data_dir: the folder of data sets.
        with_baselines: whether rows that need no network are wanted.
        machine: devices and processes.
    """
    own, count = config.data.split, lambda: num_splits(config.data, data_dir)
    splits = grids.chosen_splits(split, own, count)
    run = from_weights(config, machine=machine)
    configs = grids.grid(config, {"split": splits, "seed": [0]})
    folders = [pathlib.Path(workdir) / folder for folder in configs]
    found = (
        _evaluation(
            dataclasses.replace(run, config=one),
            folder,
            "weights as they are",
            data_dir,
        )
        for folder, one in zip(folders, configs.values(), strict=True)
    )
    return _print_runs(folders, found, with_baselines, config.init_from)


def evaluate_run(
    workdir: pathlib.Path,
    choose: str,
    *,
    averaged: bool = False,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> Evaluation:
    """One run on its test videos; writes its `evaluation.json`."""
    run = restore(workdir, choose, averaged=averaged, machine=machine)
    trained_here = named_networks.is_workdir(workdir)
    titles = {"best": "best on validation", "latest": "last step"}
    title = titles.get(choose, "newest whole step")
    title = title if trained_here else f"step {run.step}"
    found = _evaluation(run, workdir, title, data_dir)
    if found.config.protocol == "paper" and trained_here:
        return dataclasses.replace(found, rows=paper_rows(workdir))
    return found


def _print_runs(folders, found, with_baselines, what=""):
    rows: dict[str, list[Row]] = {}
    for folder, one in zip(folders, found, strict=True):
        of_run = one.rows
        if with_baselines:
            of_run = of_run | baselines(one.videos, one.config.data, workdir=folder)
        for title, row in of_run.items():
            rows.setdefault(title, []).append(row)
        if len(folders) > 1:
            first = next(iter(one.rows.values()))
            line = (
                f"{TITLES[name]} {tables.mean_sd([value], DIGITS[name])}"
                for name, value in first.items()
            )
            print(f"{folder}: {'  '.join(line)}", flush=True)
    count = f"{len(folders)} run{'s' * (len(folders) > 1)}"
    head, cells = table(rows)
    tables.print_table(f"{what or count}, {_protocol(one.config)}", cells, head)
    return rows


def _evaluation(run, folder, title, data_dir):
    config = run.config
    videos = load_videos(config.data, data_dir)
    test = split_videos(config, videos, data_dir)["test"]
    scores = score_steps(run, test)
    details = {
        video.name: {"metrics": score_video(video, scores[video.name], config.data)}
        | describe(video, scores[video.name])
        for video in test
    }
    means = mean_scores([row["metrics"] for row in details.values()])
    content = {"step": run.step, "means": means, "videos": details}
    write_json(named_networks.results_folder(folder) / "evaluation.json", content)
    return Evaluation(config, test, scores, {f"PGL-SUM (ours), {title}": means})


def baselines(
    videos: Sequence[Video], data: DataConfig, *, workdir: str | os.PathLike
) -> dict[str, Row]:
    """Rows that need no network.

    random: uniform scores for each step, mean over `CHANCES` draws; constant: one score
    for all, so the first shots that fit, and no ranks; people: one against the others.

    Args:
        videos: that are scored.
        data: how they are.
        workdir: where the rows are kept, as long as the videos stay the same.
    """
    parts = [
        (v.name, len(v), v.num_frames, v.picks, v.shots, v.summaries, v.annotations)
        for v in videos
    ]
    mark = content_mark(
        "videos", CHANCES, data.reduce, data.against, *itertools.chain(*parts)
    )
    compute = functools.partial(_baselines, videos, data)
    return kept_rows(workdir, mark, compute, "random and constant scores, people")


def _baselines(videos, data):
    rng = np.random.default_rng(0)
    draws = [
        (video, rng.random(len(video))) for video in videos for _ in range(CHANCES)
    ]
    jobs = with_progress(draws, len(draws), "Baselines")
    return {
        "random": mean_scores([score_video(v, scores, data) for v, scores in jobs]),
        "constant": mean_scores(
            [score_video(v, np.ones(len(v)), data) for v in videos]
        ),
        "people": mean_scores([score_people(video, data) for video in videos]),
    }


def table(
    rows: Mapping[str, Sequence[Row]],
) -> tuple[list[str], dict[str, list[str]]]:
    """(head, cells by row): mean ± sd over runs of each metric that any row has."""
    names = [name for name in METRICS if any(name in row[0] for row in rows.values())]
    cells = {
        title: [
            tables.mean_sd([row.get(name, np.nan) for row in found], DIGITS[name])
            for name in names
        ]
        for title, found in rows.items()
    }
    return [TITLES[name] for name in names], cells


def _protocol(config):
    data = config.data
    against = {"each_user": "each user", "mean_user": "the mean user"}[data.against]
    return (
        f"protocol {config.protocol}; F: {data.reduce} over users; tau and rho against "
        f"{against}"
    )
