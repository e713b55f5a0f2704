"""Grids of runs: splits, seeds and streams, each run in a folder of its own."""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpsattn_jax.systems import System
from gpsattn_jax.training.config import Machine

# The axes of a grid: the part of a config that has the field, and a run's folder.
AXES = {
    "split": ("data", "split-{}"),
    "seed": ("train", "seed-{}"),
    "stream": ("model", "{}"),
}
_GRIDS = ("split-*/seed-*/*", "split-*/seed-*", "seed-*")


def run_folders(workdir: str | os.PathLike) -> list[pathlib.Path]:
    """The runs of a grid below a workdir, or the workdir itself."""
    workdir = pathlib.Path(workdir)
    return grid_folders(workdir) or [workdir]


def train_runs(
    system: System,
    config: Any,
    workdir: str | os.PathLike,
    *,
    seeds: int = 1,
    split: str | None = None,
    stream: str | None = None,
    data_dir: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> None:
    """Trains one run in `workdir`, or a grid of them below it, which it evaluates.

    A run of a grid has a folder of its own, `split-0/seed-0/joint`, with the axes that
    the system has. Finished runs are not trained again.

    Args:
        system: a row of `SYSTEMS`.
        config: of the runs.
        workdir: checkpoints and logs.
        seeds: how many, from `config.train.seed` on.
        split: number of the split, or "all"; the config's own if None.
        stream: one of the streams, or "all"; the config's own if None.
        data_dir: the folder of data sets.
        with_baselines: whether a grid's table has rows that need no network.
        machine: devices and processes.

    Raises:
        ValueError: if there is no such split or stream, or no seed; or several runs
            shall go on from one step.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1; got {seeds}.")
    face, first = system.face(), config.train.seed
    values: dict[str, Sequence[Any]] = {"seed": range(first, first + seeds)}
    if "split" in system.axes:
        count = lambda: face.num_splits(config.data, data_dir)  # noqa: E731
        values["split"] = chosen_splits(split, config.data.split, count)
    if "stream" in system.axes:
        every = face.STREAMS if stream == "all" else [stream or config.model.stream]
        values["stream"] = every
    where = {"data_dir": data_dir, "machine": machine}
    runs = grid(config, {axis: values[axis] for axis in system.axes})
    if machine is not None and machine.resume is not None and len(runs) > 1:
        raise ValueError(
            f"resume is for one run; the command is for {len(runs)} of them. Name the "
            "workdir of the one, and its split, seed and stream."
        )
    if len(runs) == 1:
        face.train(*runs.values(), workdir, **where)
        return
    for folder, run in runs.items():
        print(pathlib.Path(workdir) / folder, flush=True)
        face.train(run, pathlib.Path(workdir) / folder, **where)
    face.evaluate(workdir, with_baselines=with_baselines, **where)


def grid(
    config: Any, values: Mapping[str, Sequence[Any]]
) -> dict[pathlib.PurePath, Any]:
    """The configs of a grid of runs, by the runs' folders.

    Args:
        config: of all runs.
        values: of each axis; the last one changes first.
    """
    runs = {}
    for chosen in itertools.product(*values.values()):
        run, folder = config, pathlib.PurePath()
        for axis, value in zip(values, chosen, strict=True):
            part, pattern = AXES[axis]
            changed = dataclasses.replace(getattr(run, part), **{axis: value})
            run = dataclasses.replace(run, **{part: changed})
            folder /= pattern.format(value)
        runs[folder] = run
    return runs


def chosen_splits(
    split: str | None, own: int, count: Callable[[], int]
) -> Sequence[int]:
    """Numbers of the splits that a command asks for.

    Args:
        split: a number, or "all"; None for the config's own.
        own: the config's.
        count: how many there are.

    Raises:
        ValueError: if it is neither.
    """
    if split is None:
        return [own]
    if split == "all":
        return range(count())
    if not split.isdigit():
        raise ValueError(f"split must be a number or all; got {split!r}.")
    return [int(split)]


def latest_step(workdir: str | os.PathLike) -> int:
    """The step of the newest whole checkpoint below a workdir; 0 without any.

    Of a grid's runs it is the one that was saved last. JAX need not work for it.
    """
    saved = [
        path
        for run in run_folders(workdir)
        for path in run.glob("checkpoints/*")
        if path.name.isdigit()
    ]
    if not saved:
        return 0
    newest = max(saved, key=lambda path: path.stat().st_mtime).parent
    return max(int(path.name) for path in saved if path.parent == newest)


def grid_folders(workdir: pathlib.Path) -> list[pathlib.Path]:
    """The runs of a grid below a workdir, in order: seed-2 before seed-10."""
    found = [p.parent for g in _GRIDS for p in workdir.glob(f"{g}/checkpoints")]

    def order(path):
        name = str(path.relative_to(workdir))
        return [int(number) for number in re.findall(r"-(\d+)", name)], name

    return sorted(found, key=order)
