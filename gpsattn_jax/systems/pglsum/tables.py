"""PGL-SUM's results as text and JSON: beside chance and people, over splits, seeds."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpsattn_jax import evaluation
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.files import write_json
from gpsattn_jax.systems import pglsum
from gpsattn_jax.systems.pglsum.run import Config, DataConfig, Summarizer
from gpsattn_jax.systems.pglsum.scores import (
    METRICS,
    mean_scores,
    score_people,
    score_video,
    summarized,
)
from gpsattn_jax.systems.splits import chosen_splits
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.logs import read_metrics

Row = dict[str, float]

TITLES = {"f_score": "F", "tau": "tau", "rho": "rho"}
CHANCES = 20  # random scorings of each video, averaged


@dataclasses.dataclass(frozen=True)
class Run:
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


def _details(videos, scores, data):
    """Each video's metrics, scores and chosen shots, for JSON."""
    details = {}
    for video in videos:
        found = score_video(video, scores[video.name], data)
        described = _described(video, scores[video.name])
        details[video.name] = {"metrics": found} | described
    return details


def _described(video, scores):
    """A video's scores and, where it has shots, what a summary keeps, for JSON."""
    told: dict[str, Any] = {
        "title": video.title,
        "picks": video.picks.tolist(),
        "scores": [_digits(score) for score in scores],
    }
    if video.shots is None:
        return told
    kept = summarized(video, scores)
    frames = evaluation.frame_scores(scores, video.picks, video.num_frames)
    values = evaluation.shot_values(frames, video.shots)
    rows = zip(video.shots.tolist(), values.tolist(), strict=True)
    told["shots"] = [
        {"first": a, "last": b, "score": _digits(value), "chosen": bool(kept[a])}
        for (a, b), value in rows
    ]
    return told


def _digits(score):
    """Six digits, also of small scores: only their order counts."""
    return float(f"{score:.6g}")


def print_evaluation(
    workdir: str | os.PathLike,
    choose: str = "best",
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Prints a run's scores on its test videos, beside chance and people.

    Writes `evaluation.json`, each video's metrics, scores and shots, into the workdir.
    A folder of runs (`split-0/seed-0/…`) gives mean ± sd over all of them.
    """
    folders = _runs(pathlib.Path(workdir))
    runs = (evaluate_run(folder, choose, data_dir, machine) for folder in folders)
    _print_runs(folders, runs)


def print_weights(
    config: Config,
    workdir: str | os.PathLike,
    *,
    split: str | None = None,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """The same for the weights in the file `config.init_from`, as they are.

    Args:
        config: whose network and data they are for.
        workdir: `evaluation.json` comes into `split-0/seed-0/` and so on.
        split: number of the split, or "all"; the config's own if None.
        data_dir: the folder of data sets.
        machine: devices and processes.
    """
    splits = chosen_splits(
        split, config.data.split, lambda: pglsum.num_splits(config.data, data_dir)
    )
    folders = [pathlib.Path(workdir) / f"split-{n}" / "seed-0" for n in splits]
    summarizer = pglsum.from_weights(config, machine=machine)

    def evaluated(place, folder):
        own = dataclasses.replace(config.data, split=place)
        chosen = dataclasses.replace(config, data=own)
        this = dataclasses.replace(summarizer, config=chosen)
        return _evaluated(this, folder, "weights as they are", data_dir)

    pairs = zip(splits, folders, strict=True)
    _print_runs(folders, (evaluated(*pair) for pair in pairs), config.init_from)


def _print_runs(folders, runs, what=""):
    rows: dict[str, list[Row]] = {}
    for folder, run in zip(folders, runs, strict=True):
        found = run.rows | baselines(run.videos, run.config.data)
        for title, row in found.items():
            rows.setdefault(title, []).append(row)
        if len(folders) > 1:
            print(f"{folder}: {_line(next(iter(run.rows.values())))}", flush=True)
    count = f"{len(folders)} run{'s' * (len(folders) > 1)}"
    print_table(rows, f"{what or count}, {_told(run.config)}")


def evaluate_run(
    workdir: pathlib.Path,
    choose: str,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> Run:
    """A run on its test videos; writes its `evaluation.json`."""
    summarizer = pglsum.restore(workdir, choose, machine=machine)
    title = {"best": "best on validation", "latest": "last step"}[choose]
    run = _evaluated(summarizer, workdir, title, data_dir)
    if run.config.protocol == "paper":
        return dataclasses.replace(run, rows=paper_rows(workdir))
    return run


def _evaluated(summarizer, folder, title, data_dir):
    config = summarizer.config
    videos = pglsum.load_videos(config.data, data_dir)
    test = pglsum.split_videos(config, videos, data_dir)["test"]
    scores = summarizer.scores(test)
    details = _details(test, scores, config.data)
    means = mean_scores([row["metrics"] for row in details.values()])
    content = {"step": summarizer.step, "means": means, "videos": details}
    write_json(folder / "evaluation.json", content)
    return Run(config, test, scores, {f"PGL-SUM (ours), {title}": means})


def paper_rows(workdir: pathlib.Path) -> dict[str, Row]:
    """The paper's two readings of a run, and the last epoch, from its log.

    Every epoch was scored on the test videos. Table IV of the paper takes the epoch
    that the training loss chooses (`evaluation.select_epoch`), Table III the maximum
    over all epochs, which no one can know in advance.
    """
    log = read_metrics(workdir)
    losses = [line["loss"] for line in log if "loss" in line]
    scored = [
        {n: line[f"evaluation/{n}"] for n in METRICS if f"evaluation/{n}" in line}
        for line in log
        if any(name.startswith("evaluation/") for name in line)
    ]
    if len(scored) != len(losses):
        raise ValueError(
            f"{workdir}: the paper's protocol needs a loss and a score of each epoch "
            f"(train.log_every=1 epoch, train.evaluate_every=1 epoch); got "
            f"{len(losses)} and {len(scored)}."
        )
    epoch = evaluation.select_epoch(np.array(losses))
    # A metric is left out of an epoch in which it was not defined.
    best = {
        name: max(row[name] for row in scored if name in row)
        for name in METRICS
        if any(name in row for row in scored)
    }
    return {
        "PGL-SUM (ours), last epoch": scored[-1],
        "PGL-SUM (ours), the paper's criterion": scored[epoch - 1],
        "PGL-SUM (ours), maximum on test": best,
    }


def train_runs(
    config: Config,
    workdir: str | os.PathLike,
    *,
    split: str | None = None,
    seeds: int = 1,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains one run in `workdir`, or many in `split-0/seed-0/…`, and their table.

    Finished runs are not trained again.

    Args:
        config: of the runs.
        workdir: checkpoints and logs.
        split: number of the split, or "all"; the config's own if None.
        seeds: so many, from the config's own on.
        data_dir: the folder of data sets.
        machine: devices and processes.

    Raises:
        ValueError: if there is no such split, or no seed.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1; got {seeds}.")
    splits = chosen_splits(
        split, config.data.split, lambda: pglsum.num_splits(config.data, data_dir)
    )
    for place in splits:
        for seed in range(seeds):
            run = dataclasses.replace(
                config,
                data=dataclasses.replace(config.data, split=place),
                train=dataclasses.replace(config.train, seed=config.train.seed + seed),
            )
            if len(splits) == seeds == 1:
                pglsum.train(run, workdir, data_dir=data_dir, machine=machine)
                return
            folder = pathlib.Path(workdir) / f"split-{place}" / f"seed-{seed}"
            print(folder, flush=True)
            pglsum.train(run, folder, data_dir=data_dir, machine=machine)
    print_evaluation(workdir, data_dir=data_dir, machine=machine)


def predict(
    summarizer: Summarizer,
    features: str | os.PathLike,
    output: str | os.PathLike | None = None,
) -> None:
    """Scores the videos of a file that need no annotations; prints a line for each.

    Args:
        summarizer: a trained network.
        features: an HDF5 file in the layout that it was trained on.
        output: optional JSON of scores and, where there are shots, the chosen ones.
    """
    data = dataclasses.replace(summarizer.config.data, file=os.fspath(features))
    videos = list(pglsum.load_videos(data).values())
    scores = summarizer.scores(videos)
    found = {video.name: _described(video, scores[video.name]) for video in videos}
    for video in videos:
        best = int(np.argmax(scores[video.name]))
        print(
            f"{video.name}  {len(video)} steps, highest {scores[video.name][best]:.3g} "
            f"from frame {video.picks[best]} of {video.num_frames}"
        )
    if output is not None:
        write_json(output, found)
        print(f"Written to {output}.")


def baselines(videos: Sequence[Video], data: DataConfig) -> dict[str, Row]:
    """Rows that need no network.

    random: uniform scores for each step, mean over `CHANCES` draws; constant: one score
    for all, so the first shots that fit, and no ranks; people: one against the others.
    """
    rng = np.random.default_rng(0)

    def means(draws, scores_of):
        return mean_scores(
            [score_video(v, scores_of(v), data) for v in videos for _ in range(draws)]
        )

    return {
        "random": means(CHANCES, lambda video: rng.random(len(video))),
        "constant": means(1, lambda video: np.ones(len(video))),
        "people": mean_scores([score_people(video, data) for video in videos]),
    }


def print_table(rows: Mapping[str, Sequence[Row]], title: str) -> None:
    """Prints mean ± sd over runs of each metric; a dash where it is not defined."""
    names = [name for name in METRICS if any(name in row[0] for row in rows.values())]
    print(f"\n{title}:\n")
    print(f"  {'':<40}" + "".join(f"{TITLES[name]:>16}" for name in names))
    for label, found in rows.items():
        cells = [
            cell(name, [row.get(name, math.nan) for row in found]) for name in names
        ]
        print(f"  {label:<40}" + "".join(f"{cell:>16}" for cell in cells))


def cell(name: str, values: Sequence[float]) -> str:
    """Mean ± sd of a metric over runs, as text; a dash where it is not defined."""
    mean = np.mean(values)
    if math.isnan(mean):
        return "-"
    digits = 1 if name == "f_score" else 3  # percent, or a correlation
    text = f"{mean:z.{digits}f}"  # z: no -0.000
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1):.{digits}f}"
    return text


def _line(row):
    return "  ".join(
        f"{TITLES[name]} {cell(name, [value])}" for name, value in row.items()
    )


def _told(config):
    data = config.data
    against = {"each_user": "each user", "mean_user": "the mean user"}[data.against]
    return (
        f"protocol {config.protocol}; F: {data.reduce} over users; tau and rho against "
        f"{against}"
    )


def _runs(workdir):
    """The workdir itself, or the runs of all splits and seeds within it."""
    found = sorted(workdir.glob("split-*/seed-*/checkpoints"))
    return [path.parent for path in found] or [workdir]
