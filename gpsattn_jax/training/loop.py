"""The training loop: one function, from the first step or the last checkpoint on."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex
import jax

from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.compiled import compiled_once
from gpsattn_jax.training.config import Machine, TrainConfig
from gpsattn_jax.training.interrupts import Interrupts
from gpsattn_jax.training.logs import Profile
from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.nonfinite import NotFinite, gradient_finder
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.reports import Reports
from gpsattn_jax.training.sharding import place
from gpsattn_jax.training.start import check, note_extension, start
from gpsattn_jax.training.state import Network, TrainState, init_state
from gpsattn_jax.training.step import step_program
from gpsattn_jax.training.steps import BatchSource, Evaluate, Steps
from gpsattn_jax.training.trackers import open_trackers
from gpsattn_jax.training.workdir_lock import locked

Augment = Callable[[dict[str, Any], chex.PRNGKey], dict[str, Any]]


def fit(
    network: Network,
    loss: Loss,
    batches: BatchSource,
    evaluate: Evaluate,
    config: TrainConfig,
    workdir: str | os.PathLike,
    *,
    augment: Augment | None = None,
    settings: dict[str, Any] | None = None,
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    defaults: Mapping[str, Any] | None = None,
    initial: Callable[[], tuple[Any, Any]] | None = None,
    layers: Sequence[str] = (),
    machine: Machine | None = None,
) -> TrainState:
    """Trains a network, going on from the newest checkpoint in `workdir`, if any.

    A run that was stopped and resumed ends with the same bits as one that was not; only
    the logged means of the steps around the stop are over fewer steps.

    Args:
        network: what to train.
        loss: `loss(outputs, targets) -> (scalar, metrics)`.
        batches: the batch of each step.
        evaluate: (params, model state) -> metrics, among them `config.best_metric`. The
            moving averages' metrics, if there are any, are called `ema/…`.
        config: how.
        workdir: checkpoints (`checkpoints/`) and logs.
        augment: optional pure function (batch, random key) -> batch, run on the device.
        settings: the whole run's configuration as a plain dict, kept in the checkpoint;
            resuming with another one is an error.
        upgrade: makes of settings that an older version saved those of today.
        defaults: of `settings`, likewise nested: what a field was before there was such
            a field.
        initial: gives (params, model state) that a new run starts from; not called
            where there is a checkpoint.
        layers: patterns of the network's layers, see `optimizers.layer_numbers`.
        machine: devices, processes, profiling.

    Returns:
        The state after the last step.

    Raises:
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after saving.
        ValueError: if the checkpoint belongs to other settings, or is damaged.
        BlockingIOError: if another run is at work in `workdir`.
        FloatingPointError: if the loss is not finite; the last checkpoint stays. Says
            which batch it was, and which gradient was the first.
        FileNotFoundError: if there is no run to extend.
        OSError: if a checkpoint or a log cannot be written; earlier ones stay.
        ImportError: names the package that `machine.log_to` needs.
    """
    machine = Machine() if machine is None else machine
    workdir = pathlib.Path(workdir)
    settings = {"train": dataclasses.asdict(config)} if settings is None else settings
    placement = place(machine)
    placement.rows(config.batch_size, config.accumulate)
    if machine.profile_steps.stop > config.num_steps:
        raise ValueError(
            f"profile must end by train.num_steps={config.num_steps}; "
            f"got {machine.profile}."
        )
    optimizer = make_optimizer(config, layers)
    if workdir.exists() and not workdir.is_dir():
        raise NotADirectoryError(f"{workdir}: the workdir must be a folder.")
    workdir.mkdir(parents=True, exist_ok=True)
    key = jax.random.key(config.seed)
    create = functools.partial(
        init_state,
        network,
        optimizer,
        key,
        averaged=config.ema_decay > 0,
        skipping=config.skip_nonfinite > 0,
    )
    with (
        locked(workdir),
        _open(config, workdir) as checkpoints,
        Interrupts() as interrupts,
        open_trackers(machine.log_to, workdir, settings) as trackers,
    ):
        before = check(checkpoints, settings, upgrade, defaults, machine)
        begin = functools.partial(
            start, create, initial, batches, checkpoints, placement
        )
        state = begin()
        note_extension(before, config, state)
        shardings = placement.shardings(state)
        skipped = 0 if state.skipped is None else int(state.skipped["in_all"])
        run = Steps(
            config=config,
            machine=machine,
            settings=settings,
            batches=batches,
            evaluate=evaluate,
            checkpoints=checkpoints,
            interrupts=interrupts,
            reports=Reports(config, workdir, int(state.step), skipped, trackers),
            profile=Profile(workdir / "profile", machine.profile_steps),
            place=placement.put,
            prepare=_compiled_augment(augment, config.seed, placement),
            advance=placement.on_mesh(
                _compiled_step(shardings, network, loss, optimizer, config)
            ),
            key=key,
        )
        try:
            return run.train(state)
        except NotFinite as error:
            failure = error.with_traceback(None)  # which holds the state's memory
        del state
        look = gradient_finder(network, loss, config, key, placement)
        raise FloatingPointError(run.explain(failure, begin, look))


def open_checkpoints(workdir: str | os.PathLike) -> Checkpoints:
    """The checkpoints of a finished or running `fit`, to be read.

    Args:
        workdir: as given to `fit`.

    Raises:
        FileNotFoundError: if there are none.
    """
    folder = pathlib.Path(workdir) / "checkpoints"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no checkpoints; train into {workdir} first."
        )
    return Checkpoints(folder, best_metric=None, read_only=True)


def _open(config, workdir):
    return Checkpoints(
        workdir / "checkpoints",
        best_metric=config.best_metric,
        keep_latest=config.keep_latest,
    )


def _compiled_step(shardings, network, loss, optimizer, config):
    """The step, compiled; the new state stays where the old one was."""
    step, options = step_program(network, loss, optimizer, config, shardings)
    return compiled_once(step, what="the training step", varying=(1,), **options)


def _compiled_augment(augment, seed, placement):
    """(batch, step) -> batch; its random numbers are not those that dropout uses."""
    if augment is None:
        return lambda batch, step: batch

    def split(batch, key):
        batch = augment(batch, key)
        shardings = placement.batch_shardings(batch)
        return jax.lax.with_sharding_constraint(batch, shardings)

    compiled = jax.jit(augment if placement.sequence_devices == 1 else split)
    key = jax.random.fold_in(jax.random.key(seed), 0xDA7A)
    return lambda batch, step: compiled(batch, jax.random.fold_in(key, step))
