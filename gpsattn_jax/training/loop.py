"""The training loop: one function, from the first step or the last checkpoint on."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import chex
import jax

from gpsattn_jax.configs import default_values
from gpsattn_jax.reader_errors import readable
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.compiled import compiled_once
from gpsattn_jax.training.config import Machine, TrainConfig
from gpsattn_jax.training.interrupts import Interrupts
from gpsattn_jax.training.logs import Profile
from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.reports import Reports
from gpsattn_jax.training.settings import check_settings
from gpsattn_jax.training.sharding import any_process, place
from gpsattn_jax.training.state import Network, TrainState, copy, init_state
from gpsattn_jax.training.step import train_step
from gpsattn_jax.training.workdir_lock import locked

Evaluate = Callable[[Any, Any], dict[str, float]]
Augment = Callable[[dict[str, Any], chex.PRNGKey], dict[str, Any]]


class BatchSource(Protocol):
    """Batches by step; the same step always gives the same batch."""

    def __call__(self, step: int) -> dict[str, dict[str, Any]]:
        """The batch of a step: {"inputs": …, "targets": …}, this process's rows."""

    def position(self, step: int) -> dict[str, Any]:
        """Where the data stands before a step, to be kept in the checkpoint."""


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
        FloatingPointError: if the loss is not finite; the last checkpoint stays.
        OSError: if a checkpoint or a log cannot be written; earlier ones stay.
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
        init_state, network, optimizer, key, averaged=config.ema_decay > 0
    )
    with (
        locked(workdir),
        _open(config, workdir) as checkpoints,
        Interrupts() as interrupts,
    ):
        if machine.whole:
            checkpoints.set_damaged_aside()
        _check(checkpoints, settings, upgrade, defaults)
        state = _start(create, initial, batches, checkpoints, placement)
        shardings = placement.shardings(state)
        advance = placement.on_mesh(
            _compiled_step(shardings, network, loss, optimizer, config)
        )
        prepare = _compiled_augment(augment, config.seed, placement)
        first = int(state.step)
        reports = Reports(config, workdir, first)
        profile = Profile(workdir / "profile", machine.profile_steps)
        for step in range(first, config.num_steps):
            if step == machine.profile_steps.stop:
                reports.settle()  # the trace holds whole steps
            profile.before(step)
            try:
                made = batches(step)
            except ChildProcessError as error:  # what makes batches has died
                reports.settle()
                saved = _save_alone(
                    checkpoints, state, batches.position(step), settings
                )
                raise ChildProcessError(f"{error} {saved}") from error
            batch = prepare(placement.put(made), step)
            state, metrics = advance(state, batch, key)
            done = step + 1
            reports.add(done, metrics)
            stop = _should_stop(interrupts.requested, done, config)
            scored = done == config.num_steps or done % config.evaluate_every == 0
            if not (scored or stop):
                continue
            reports.settle()
            profile.close()
            scores = _scores(evaluate, state) if scored else None
            if scores is not None:
                reports.scores(done, scores)
            if not (stop or _is_kept(done, config)):
                continue
            checkpoints.save(
                state,
                position=batches.position(done),
                metadata=settings,
                metrics=scores,
            )
            if stop:
                raise KeyboardInterrupt(
                    f"Stopped after step {done}; the same command goes on from there."
                )
    return state


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


def _check(checkpoints, settings, upgrade, defaults):
    """Raises ValueError if the newest checkpoint belongs to other settings."""
    latest = checkpoints.latest()
    if latest is None:
        return
    saved = checkpoints.metadata(latest)
    with readable(checkpoints.metadata_file(latest), "record of a run's settings"):
        saved = upgrade(saved)
    if defaults is None:
        defaults = {"train": default_values(TrainConfig)}
    check_settings(saved, settings, checkpoints.folder, defaults)


def _start(create, initial, batches, checkpoints, placement):
    """The state of the newest checkpoint, or a new one, where the mesh wants it."""
    target = placement.shapes(jax.eval_shape(create))
    latest = checkpoints.latest()
    if latest is None:
        shardings = placement.shardings(target)
        if initial is None and placement.mesh.size > 1:
            # No device ever holds the whole of it.
            return jax.jit(create, out_shardings=shardings)()
        state = create(initial=None if initial is None else initial())
        # A copy: the step gives the memory of its arguments away.
        return jax.device_put(copy(state), shardings)
    state, position = checkpoints.restore(latest, target)
    _check_position(checkpoints.folder / str(latest), position, batches, latest)
    return state._replace(step=jax.device_put(state.step, target.step.sharding))


def _check_position(path, saved, batches, step):
    """Raises ValueError if these batches would not go on where others stopped."""
    now = batches.position(step)
    if saved == now:
        return
    before, after = saved.get("examples"), now.get("examples")
    if before != after:
        raise ValueError(
            f"{path}: the run was begun with {before:,} examples to train on, and the "
            f"data now have {after:,}: its batches would be other ones. Bring the old "
            "data back, or start a new run from it with --init_from."
        )
    raise ValueError(
        f"{path} stopped at data position {saved}; this data would go on from {now}."
    )


def _save_alone(checkpoints, state, position, settings):
    """Saves the steps since the last checkpoint; says what the next command does."""
    step = int(state.step)
    if jax.process_count() > 1:  # the others are at work, and a save needs them all
        return "The same command goes on from the last checkpoint."
    if step and checkpoints.latest() != step:
        checkpoints.save(state, position=position, metadata=settings, metrics=None)
    return f"Saved at step {step}; the same command goes on from there."


def _compiled_step(shardings, network, loss, optimizer, config):
    """The step, compiled; the new state stays where the old one was."""
    step = functools.partial(
        train_step, network=network, loss=loss, optimizer=optimizer, config=config
    )
    return compiled_once(
        step,
        what="the training step",
        varying=(1,),
        donate_argnums=0,
        out_shardings=(shardings, None),
    )


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


def _is_kept(done, config):
    """Whether an evaluated step gets a checkpoint."""
    return (
        done == config.num_steps
        or not config.checkpoint_every
        or done % config.checkpoint_every == 0
    )


def _should_stop(requested, done, config):
    """Whether to stop: at once alone, at a line of the log with other processes."""
    together = done % config.log_every == 0 or done == config.num_steps
    if jax.process_count() > 1 and not together:
        return False
    return any_process(requested)


def _scores(evaluate, state):
    scores = evaluate(state.params, state.model_state)
    if state.ema is None:
        return scores
    averaged = evaluate(state.ema["params"], state.ema["model_state"])
    return scores | {f"ema/{name}": value for name, value in averaged.items()}
