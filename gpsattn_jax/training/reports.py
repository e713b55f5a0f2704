"""Reports of each step: metrics and whether they are finite, progress, the log."""

import collections
import pathlib

import chex
import jax

from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.logs import MetricLog, Progress
from gpsattn_jax.training.optimizers import learning_rate_schedule

# Steps that are handed to the device before the oldest one's metrics are read: the
# device never waits for the host, and no more batches than these are on it.
STEPS_AHEAD = 2


class Reports:
    """The metrics of steps, read when they are ready; process 0 writes.

    Args:
        config: of the run.
        workdir: where the log is.
        first: the step at which the run goes on.
    """

    def __init__(self, config: TrainConfig, workdir: pathlib.Path, first: int):
        self._config = config
        self._pending: collections.deque = collections.deque()
        self._recent: list[dict[str, float]] = []
        self._progress = Progress(config.num_steps, first, config.batch_size)
        self._schedule = learning_rate_schedule(config)
        self._log = MetricLog(workdir, first) if jax.process_index() == 0 else None
        if first and self._log is not None:
            self._progress.note(f"Going on from step {first} in {workdir}.")

    def add(self, done: int, metrics: dict[str, chex.Array]) -> None:
        """Takes the metrics of a step under way; reads those of an earlier one.

        Raises:
            FloatingPointError: names the step whose metrics are not finite.
        """
        self._pending.append((done, metrics))
        if len(self._pending) > STEPS_AHEAD:
            self._read(*self._pending.popleft())

    def settle(self) -> None:
        """Reads all metrics, which waits for the device.

        Raises:
            FloatingPointError: names the step whose metrics are not finite.
        """
        while self._pending:
            self._read(*self._pending.popleft())

    def scores(self, done: int, scores: dict[str, float]) -> None:
        """Tells an evaluation's metrics.

        Raises:
            FloatingPointError: if they are not finite.
        """
        _check_finite(scores, done)
        if self._log is not None:
            self._log.write(done, {f"evaluation/{k}": v for k, v in scores.items()})
            line = "  ".join(f"{k} {v:.4g}" for k, v in scores.items())
            self._progress.note(f"step {done}  evaluation: {line}")
        self._progress.interrupted()

    def _read(self, done, metrics):
        values = {k: float(v) for k, v in jax.device_get(metrics).items()}
        _check_finite(values, done)
        self._progress.step_done(done)
        self._recent.append(values)
        if done % self._config.log_every and done != self._config.num_steps:
            return
        means = {
            name: sum(m[name] for m in self._recent) / len(self._recent)
            for name in values
        }
        self._recent = []
        if self._log is not None:
            means["learning_rate"] = float(self._schedule(done - 1))  # of this step
            rate = self._progress.examples_per_second(done)
            self._log.write(done, means | {"examples_per_second": rate})
            self._progress.report(done, means)


def _check_finite(values, step):
    if not all(value - value == 0 for value in values.values()):
        raise FloatingPointError(f"Not finite at step {step}: {values}.")
