"""The training loop: one function, from the first step or the last checkpoint on."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any, Protocol

import jax

from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.config import FREE_FIELDS, TrainConfig
from gpsattn_jax.training.interrupts import Interrupts
from gpsattn_jax.training.logs import MetricLog, Progress
from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import Network, TrainState, init_state
from gpsattn_jax.training.step import train_step

Evaluate = Callable[[Any, Any], dict[str, float]]


class BatchSource(Protocol):
    """Batches by step; the same step always gives the same batch."""

    def __call__(self, step: int) -> dict[str, dict[str, Any]]:
        """The batch of a step: {"inputs": …, "targets": …}."""

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
    settings: dict[str, Any] | None = None,
) -> TrainState:
    """Trains a network, going on from the newest checkpoint in `workdir`, if any.

    A run that was stopped and resumed ends with the same bits as one that was not; only
    the logged means of the steps around the stop are over fewer steps.

    Args:
        network: what to train.
        loss: `loss(outputs, targets) -> (scalar, metrics)`.
        batches: the batch of each step.
        evaluate: (params, model state) -> metrics, among them `config.best_metric`.
        config: how.
        workdir: checkpoints (`checkpoints/`) and logs.
        settings: the whole run's configuration as a plain dict, kept in the checkpoint;
            resuming with another one is an error.

    Returns:
        The state after the last step.

    Raises:
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after saving.
        ValueError: if the checkpoint belongs to other settings.
        FloatingPointError: if the loss is not finite; the last checkpoint stays.
    """
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    settings = {"train": dataclasses.asdict(config)} if settings is None else settings
    optimizer = make_optimizer(config)
    key = jax.random.key(config.seed)
    advance = jax.jit(
        functools.partial(train_step, network=network, loss=loss, optimizer=optimizer),
        donate_argnums=0,
    )
    with _open(config, workdir) as checkpoints, Interrupts() as interrupts:
        state = _start(network, optimizer, batches, key, checkpoints, settings)
        first = int(state.step)
        log = MetricLog(workdir, first)
        progress = Progress(config.num_steps, first, config.batch_size)
        if first:
            progress.note(f"Going on from step {first} in {workdir}.")
        recent = []
        for step in range(first, config.num_steps):
            state, metrics = advance(state, batches(step), key)
            recent.append(metrics)
            done = step + 1
            last = done == config.num_steps
            if last or done % config.log_every == 0:
                means = _means(recent)
                recent = []
                _check_finite(means, done)
                rate = progress.examples_per_second(done)
                log.write(done, means | {"examples_per_second": rate})
                progress.report(done, means)
            scores = None
            if last or done % config.evaluate_every == 0:
                scores = evaluate(state.params, state.model_state)
                _check_finite(scores, done)
                log.write(done, {f"evaluation/{k}": v for k, v in scores.items()})
                shown = "  ".join(f"{k} {v:.4g}" for k, v in scores.items())
                progress.note(f"step {done}  evaluation: {shown}")
            if scores is not None or interrupts.requested:
                if recent:
                    _check_finite(_means(recent), done)
                checkpoints.save(
                    state,
                    position=batches.position(done),
                    metadata=settings,
                    metrics=scores,
                )
            if interrupts.requested:
                raise KeyboardInterrupt(
                    f"Stopped after step {done}; the same command goes on from there."
                )
    return state


def open_checkpoints(
    workdir: str | os.PathLike, best_metric: str = TrainConfig.best_metric
) -> Checkpoints:
    """The checkpoints of a finished or running `fit`, to be read.

    Args:
        workdir: as given to `fit`.
        best_metric: as in the run's config.

    Raises:
        FileNotFoundError: if there are none.
    """
    folder = pathlib.Path(workdir) / "checkpoints"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no checkpoints; train into {workdir} first."
        )
    return Checkpoints(folder, best_metric=best_metric, read_only=True)


def _open(config, workdir):
    return Checkpoints(
        workdir / "checkpoints",
        best_metric=config.best_metric,
        keep_latest=config.keep_latest,
    )


def _start(network, optimizer, batches, key, checkpoints, settings):
    """The state of the newest checkpoint, or a new one."""
    create = functools.partial(init_state, network, optimizer)
    latest = checkpoints.latest()
    if latest is None:
        return create(key)
    _check_settings(checkpoints.metadata(latest), settings, checkpoints.folder)
    state, position = checkpoints.restore(latest, jax.eval_shape(create, key))
    if position != batches.position(latest):
        raise ValueError(
            f"{checkpoints.folder / str(latest)} stopped at data position {position}; "
            f"this data would go on from {batches.position(latest)}."
        )
    return state


def _check_settings(saved, current, folder):
    """Raises ValueError naming the fields in which two configurations differ."""
    saved, current = _fields(saved), _fields(current)
    differences = [
        f"{name} was {saved.get(name)!r}, is {current.get(name)!r}"
        for name in sorted(saved.keys() | current.keys())
        if saved.get(name) != current.get(name)
        and name.split(".")[-1] not in FREE_FIELDS
    ]
    if differences:
        raise ValueError(
            f"{folder} belongs to another run: {'; '.join(differences)}. "
            "Choose another workdir, or the same settings."
        )


def _fields(tree, prefix=""):
    """Nested dicts -> {"train.seed": 0, …}; tuples as JSON keeps them."""
    fields: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            fields |= _fields(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = list(value) if isinstance(value, tuple) else value
    return fields


def _means(recent):
    """The means of several steps' metrics: the one place that waits for the device."""
    recent = jax.device_get(recent)
    return {
        name: sum(float(m[name]) for m in recent) / len(recent) for name in recent[0]
    }


def _check_finite(means, step):
    if not all(value - value == 0 for value in means.values()):
        raise FloatingPointError(f"Not finite by step {step}: {means}.")
