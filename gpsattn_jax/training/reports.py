"""Reports of each step: metrics and whether they are finite, progress, the log."""

import collections
import pathlib
from collections.abc import Sequence

import chex
import jax

from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.logs import MetricLog, Progress
from gpsattn_jax.training.nonfinite import NotFinite
from gpsattn_jax.training.optimizers import learning_rate_schedule
from gpsattn_jax.training.trackers import Tracker

# Steps that are handed to the device before the oldest one's metrics are read: the
# device never waits for the host, and no more batches than these are on it.
STEPS_AHEAD = 2


class Reports:
    """The metrics of steps, read when they are ready; process 0 writes.

    Args:
        config: of the run.
        workdir: where the log is.
        first: the step at which the run goes on.
        skipped: steps that were skipped before it.
        trackers: take what is logged, too.
    """

    def __init__(
        self,
        config: TrainConfig,
        workdir: pathlib.Path,
        first: int,
        skipped: int = 0,
        trackers: Sequence[Tracker] = (),
    ):
        self._config = config
        self._pending: collections.deque = collections.deque()
        self._recent: list[dict[str, float]] = []
        self._skipped = skipped
        self._progress = Progress(config.num_steps, first, config.batch_size)
        self._schedule = learning_rate_schedule(config)
        writes = jax.process_index() == 0
        self._log = MetricLog(workdir, first, trackers) if writes else None
        if first and self._log is not None:
            self._progress.note(
                f"{workdir} has its {first} steps already; --extend and more steps "
                "train it on."
                if first == config.num_steps
                else f"Going on from step {first} in {workdir}."
            )

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
        if not _is_finite(scores):
            raise FloatingPointError(f"Not finite at step {done}, evaluated: {scores}.")
        if self._log is not None:
            self._log.write(done, {f"evaluation/{k}": v for k, v in scores.items()})
            line = "  ".join(f"{k} {v:.4g}" for k, v in scores.items())
            self._progress.note(f"step {done}  evaluation: {line}")
        self._progress.interrupted()

    def _read(self, done, metrics):
        values = {k: float(v) for k, v in jax.device_get(metrics).items()}
        self._skipped = int(values.pop("skipped_in_all", self._skipped))
        in_a_row = int(values.pop("skipped_in_a_row", 0))
        if in_a_row:
            self._skip(done, values, in_a_row)
        elif not _is_finite(values):
            raise NotFinite(done, values)
        else:
            self._recent.append(values)
        self._progress.step_done(done)
        if done % self._config.log_every and done != self._config.num_steps:
            return
        means = {
            name: sum(m[name] for m in self._recent) / len(self._recent)
            for name in (values if self._recent else ())
        }
        self._recent = []
        if self._config.skip_nonfinite or self._skipped:
            means["skipped"] = self._skipped
        if self._log is not None:
            counted = done - 1 - (self._skipped - bool(in_a_row))  # before this step
            means["learning_rate"] = float(self._schedule(counted))
            rate = self._progress.examples_per_second(done)
            self._log.write(done, means | {"examples_per_second": rate})
            self._progress.report(done, means)

    def _skip(self, done, values, in_a_row):
        """Tells a step that was skipped, or that it is one too many."""
        if in_a_row > self._config.skip_nonfinite:
            raise NotFinite(done, values, in_a_row)
        if self._log is not None:
            self._progress.note(
                f"Step {done} is skipped, not finite: {values}; {in_a_row} in a row, "
                f"{self._skipped} in all (train.skip_nonfinite="
                f"{self._config.skip_nonfinite})."
            )


def _is_finite(values):
    return all(value - value == 0 for value in values.values())
