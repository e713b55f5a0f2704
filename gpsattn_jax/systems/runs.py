"""Trained runs: the record of one, how it is opened, and grids of them."""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpsattn_jax.configs import from_dict
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems import System
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import open_checkpoints
from gpsattn_jax.training.sharding import Placement, place

# The axes of a grid: the part of a config that has the field, and a run's folder.
AXES = {
    "split": ("data", "split-{}"),
    "seed": ("train", "seed-{}"),
    "stream": ("model", "{}"),
}
_GRIDS = ("split-*/seed-*/*", "split-*/seed-*", "seed-*")


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained network, and what it was trained on.

    Attributes:
        config: of the run.
        step: of the checkpoint.
        network: the network.
        params: its parameters.
        state: its batch statistics.
        placement: the devices it is on.
        class_names: a name for each class; empty where there are none.
        facts: what else the training data told, such as a skeleton's layout.
    """

    config: Any
    step: int
    network: Functional
    params: dict
    state: dict
    placement: Placement
    class_names: tuple[str, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def restore(
    system: str,
    config_class: type,
    build: Callable[[Any], Functional],
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool | None = False,
    facts: Mapping[str, Callable[[Any], Any]] | None = None,
    machine: Machine | None = None,
) -> TrainedRun:
    """The run that a system trained in a workdir.

    Args:
        system: whose run it must be.
        config_class: of a whole run.
        build: the network's config -> the network.
        workdir: where the run was trained.
        choose: "latest" checkpoint, or the "best" one.
        averaged: take the moving averages of the weights; None takes those by which
            the best checkpoint was chosen.
        facts: what the checkpoint holds beside the config: name -> what reads it.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no checkpoint, or there are many runs.
        ValueError: if `choose` is unknown, or the run is another system's or kept no
            averages.
    """
    if choose not in ("latest", "best"):
        raise ValueError(f"choose must be one of latest, best; got {choose!r}.")
    grid = _grid_folders(pathlib.Path(workdir))
    if grid:
        raise FileNotFoundError(
            f"{workdir} holds {len(grid)} runs; name one, such as {grid[0]}."
        )
    placement = place(machine)
    with open_checkpoints(workdir) as checkpoints:
        step = checkpoints.latest() if choose == "latest" else checkpoints.best()
        if step is None:
            raise FileNotFoundError(
                f"{checkpoints.folder}: no finished checkpoint yet."
            )
        settings = checkpoints.metadata(step)
        trained_by = settings.pop("system")
        if trained_by != system:
            raise ValueError(f"{workdir} must be a run of {system}; got {trained_by}.")
        known = {name: read(settings.pop(name)) for name, read in (facts or {}).items()}
        config: Any = from_dict(config_class, settings)
        if averaged is None:
            by_averages = config.train.best_metric.startswith("ema/")
            averaged = choose == "best" and by_averages
        if averaged and not config.train.ema_decay:
            raise ValueError(
                f"{workdir}: the run kept no averages (train.ema_decay 0)."
            )
        network = build(config.model)
        shapes = (placement.shapes(tree) for tree in network.shapes())
        params, state = checkpoints.restore_weights(step, *shapes, averaged=averaged)
    names = known.pop("class_names", ())
    return TrainedRun(config, step, network, params, state, placement, names, known)


def run_folders(workdir: str | os.PathLike) -> list[pathlib.Path]:
    """The runs of a grid below a workdir, or the workdir itself."""
    workdir = pathlib.Path(workdir)
    return _grid_folders(workdir) or [workdir]


def train_runs(
    system: System,
    config: Any,
    workdir: str | os.PathLike,
    *,
    seeds: int = 1,
    split: str | None = None,
    stream: str | None = None,
    data_dir: str | os.PathLike | None = None,
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
        machine: devices and processes.

    Raises:
        ValueError: if there is no such split or stream, or no seed.
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
    if len(runs) == 1:
        face.train(*runs.values(), workdir, **where)
        return
    for folder, run in runs.items():
        print(pathlib.Path(workdir) / folder, flush=True)
        face.train(run, pathlib.Path(workdir) / folder, **where)
    face.evaluate(workdir, **where)


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


def _grid_folders(workdir):
    """In order of their numbers: seed-2 before seed-10."""
    found = [p.parent for g in _GRIDS for p in workdir.glob(f"{g}/checkpoints")]

    def order(path):
        name = str(path.relative_to(workdir))
        return [int(number) for number in re.findall(r"-(\d+)", name)], name

    return sorted(found, key=order)
