"""Trained runs: the record of one, how it is opened, what a new one starts from."""

import os
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from gpsattn_jax import convert
from gpsattn_jax.convert.graft import Fit, fit_relative_table
from gpsattn_jax.convert.recognition import recognize
from gpsattn_jax.convert.rewrite import config_of
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems import CHECKPOINTS, SYSTEMS, named_networks, run_files
from gpsattn_jax.systems.grids import grid_folders
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training.config import Machine, TrainConfig
from gpsattn_jax.training.loop import open_checkpoints
from gpsattn_jax.training.sharding import place

# What follows a workdir in `--init_from=runs/mine:best`: arguments of `restore`.
CHOICES: dict[str, dict[str, Any]] = {
    "latest": {"choose": "latest", "averaged": False},
    "best": {"choose": "best", "averaged": None},
    "averaged": {"choose": "latest", "averaged": True},
}


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
        workdir: where the run was trained; or a file that `run_files.write_run` made,
            or the name of a network that comes with the package. These two have one
            checkpoint.
        choose: "latest" checkpoint, the "best" one, or the newest one that is "whole".
        averaged: take the moving averages of the weights; None takes those by which
            the best checkpoint was chosen.
        facts: what the checkpoint holds beside the config: name -> what reads it.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no checkpoint, or there are many runs.
        ValueError: if `choose` is unknown, or the run is another system's or kept no
            averages.
    """
    if choose not in CHECKPOINTS:
        raise ValueError(
            f"choose must be one of {', '.join(CHECKPOINTS)}; got {choose!r}."
        )
    grid = grid_folders(pathlib.Path(workdir))
    if grid:
        raise FileNotFoundError(
            f"{workdir} holds {len(grid)} runs; name one, such as {grid[0]}."
        )
    path = named_networks.find(workdir)
    if path.is_file():
        if averaged:
            raise ValueError(f"{path}: the averaged weights are asked of a workdir.")
        weights = published(system, workdir)
        if weights is not None:
            setup = SYSTEMS[system].face().SETUPS[weights.setup]
            return run_files.read_weights(path, system, setup, machine)
        return run_files.read_run(path, system, config_class, build, facts, machine)
    placement = place(machine)
    with open_checkpoints(path) as checkpoints:
        step = _choose(checkpoints, choose)
        settings = checkpoints.metadata(step)
        config, network, known = run_files.open_settings(
            checkpoints.metadata_file(step), settings, system, config_class, build,
            facts,
        )  # fmt: skip
        shapes = [placement.shapes(tree) for tree in network.shapes()]
        if averaged is None:
            by_averages = config.train.best_metric.startswith("ema/")
            averaged = choose == "best" and by_averages
        if averaged and not config.train.ema_decay:
            raise ValueError(
                f"{workdir}: the run kept no averages (train.ema_decay 0)."
            )
        params, state = checkpoints.restore_weights(step, *shapes, averaged=averaged)
        examples = checkpoints.position(step).get("examples")
    names = known.pop("class_names", ())
    return TrainedRun(
        config, step, network, params, state, placement, names, known, examples
    )


def published(
    system: str, source: str | os.PathLike
) -> named_networks.Published | None:
    """The weights of others that a name stands for, if they are of this system."""
    path = pathlib.Path(source)
    if path.is_file() or named_networks.is_workdir(path):
        return None
    found = named_networks.PUBLISHED.get(os.fspath(source))
    return found if found is not None and found.system == system else None


def _choose(checkpoints, choose):
    """The step of a checkpoint."""
    if checkpoints.latest() is None:
        raise FileNotFoundError(f"{checkpoints.folder}: no finished checkpoint yet.")
    if choose == "latest":
        return checkpoints.latest()
    step = checkpoints.best() if choose == "best" else checkpoints.newest_whole()
    if step is None:
        what = "has been evaluated" if choose == "best" else "is whole"
        raise ValueError(f"{checkpoints.folder}: no checkpoint {what}.")
    if choose == "whole" and step != checkpoints.latest():
        print(f"{checkpoints.folder}: step {step} is taken.", file=sys.stderr)
    return step


def check_best_metric(train: TrainConfig, names: Sequence[str]) -> None:
    """Raises ValueError if the best checkpoint is chosen by what is not measured.

    Args:
        train: of the run.
        names: of the metrics; their `ema/` twins are there if averages are kept.
    """
    metrics = [*names, *(f"ema/{name}" for name in names if train.ema_decay)]
    if train.best_metric not in metrics:
        raise ValueError(
            f"train.best_metric must be one of {', '.join(metrics)}; "
            f"got {train.best_metric!r}."
        )


def find_system(source: str | os.PathLike) -> str:
    """The system of a run's workdir, or of a file of weights.

    Raises:
        FileNotFoundError: if there is no such run or file.
        ValueError: if the file does not say whose weights it holds.
    """
    path = named_networks.find(source)
    if not path.is_dir():
        return recognize(path)
    grid = grid_folders(path)
    with open_checkpoints(grid[0] if grid else path) as checkpoints:
        step = checkpoints.latest()
        if step is None:
            raise FileNotFoundError(
                f"{checkpoints.folder}: no finished checkpoint yet."
            )
        return checkpoints.metadata(step)["system"]


def find_start(init_from: str) -> tuple[pathlib.Path, dict[str, Any] | None]:
    """What `--init_from` names: a file, or a run and which of its weights.

    Args:
        init_from: a file, or a network's name; or a workdir, perhaps with one of
            `CHOICES` behind a colon.

    Returns:
        (path, arguments of `restore`, or None for a file).

    Raises:
        ValueError: if weights are chosen of what is no run, or there is no such choice.
    """
    workdir, _, choice = init_from.rpartition(":")
    if os.path.exists(init_from) or not workdir:
        workdir, choice = init_from, ""
    if named_networks.is_workdir(workdir):
        if choice and choice not in CHOICES:
            raise ValueError(
                f"init_from must be {workdir} with one of "
                f"{', '.join(f':{name}' for name in CHOICES)}; got :{choice}."
            )
        return pathlib.Path(workdir), CHOICES[choice or "latest"]
    if choice in CHOICES:
        raise ValueError(
            f"init_from chooses :{choice} of a run; {workdir} is no run's workdir."
        )
    return named_networks.find(init_from), None


def initial_weights(
    system: str,
    restore: Callable[..., TrainedRun],
    network: Functional,
    config: Any,
    fit: Fit = fit_relative_table,
    *,
    machine: Machine | None = None,
    **options: Any,
) -> Callable[[], tuple[Any, Any]] | None:
    """What gives the weights that training starts from; None for fresh ones.

    Args:
        system: whose network it is.
        restore: the system's.
        network: what will be trained.
        config: of the run; `config.init_from` is as `find_start` takes it.
        fit: see `convert.graft`.
        machine: says which checkpoint of a run: the latest, or the newest whole one.
        **options: of `convert.load`, for a file.
    """

    def initial():
        path, choice = find_start(config.init_from)
        if choice is not None:
            if machine is not None and machine.whole and choice["choose"] == "latest":
                choice = choice | {"choose": "whole"}
            run = restore(path, **choice)
            weights, model = jax.device_get([run.params, run.state]), run.config.model
        else:
            loaded, *weights = convert.load(system, path, **options)
            model = config_of(loaded)
        key = jax.random.key(config.train.seed)
        params, state, lines = convert.graft(
            network, key, *weights, fit=fit, configs=(model, config.model)
        )
        for line in lines:
            print(f"{path}: {line}")
        return params, state

    return initial if config.init_from else None
