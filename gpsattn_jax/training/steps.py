"""The steps of a run, one after the other; and those before one that failed, again."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import chex
import jax

from gpsattn_jax.reader_errors import shorten
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.config import Machine, TrainConfig
from gpsattn_jax.training.interrupts import Interrupts
from gpsattn_jax.training.logs import Profile
from gpsattn_jax.training.nonfinite import NotFinite, describe_batch, names_of
from gpsattn_jax.training.processes import in_turn
from gpsattn_jax.training.reports import Reports
from gpsattn_jax.training.sharding import any_process
from gpsattn_jax.training.state import TrainState
from gpsattn_jax.training.whole_steps import note

Evaluate = Callable[[Any, Any], dict[str, float]]


class BatchSource(Protocol):
    """Batches by step; the same step always gives the same batch."""

    def __call__(self, step: int) -> dict[str, dict[str, Any]]:
        """The batch of a step: {"inputs": …, "targets": …}, this process's rows."""

    def position(self, step: int) -> dict[str, Any]:
        """Where the data stands before a step, to be kept in the checkpoint."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Steps:
    """What the steps of a run are made with."""

    config: TrainConfig
    machine: Machine
    settings: dict[str, Any]
    batches: BatchSource
    evaluate: Evaluate
    checkpoints: Checkpoints
    interrupts: Interrupts
    reports: Reports
    profile: Profile
    place: Callable[[Any], Any]
    prepare: Callable[[Any, int], Any]
    advance: Callable[..., tuple[TrainState, dict[str, Any]]]
    key: chex.PRNGKey

    def train(self, state: TrainState) -> TrainState:
        """From a state to the last step."""
        config, reports = self.config, self.reports
        for step in range(int(state.step), config.num_steps):
            if step == self.machine.profile_steps.stop:
                reports.settle()  # the trace holds whole steps
            self.profile.before(step)
            state, metrics = self.advance(state, self._batch(step, state), self.key)
            done = step + 1
            reports.add(done, in_turn(metrics))
            stop = _should_stop(self.interrupts.requested, done, config)
            scored = done == config.num_steps or done % config.evaluate_every == 0
            if not (scored or stop):
                continue
            reports.settle()
            self.profile.close()
            scores = _scores(self.evaluate, state) if scored else None
            if scores is not None:
                reports.scores(done, scores)
            if stop or _is_kept(done, config):
                self._save(state, done, scores)
            if stop:
                without = " without --resume" * (self.machine.resume is not None)
                raise KeyboardInterrupt(
                    f"Stopped after step {done}; the same command{without} goes on "
                    "from there."
                )
        return state

    def explain(
        self,
        failure: NotFinite,
        begin: Callable[[], TrainState],
        look: Callable[..., str],
    ) -> str:
        """The message of a step that was not finite: its batch, its first gradient.

        Args:
            failure: which step, and its metrics.
            begin: gives the state of the last checkpoint.
            look: (state, batch, names of its examples) -> what is not finite.
        """
        step, said = failure.step - 1, str(failure)
        try:
            self.checkpoints.wait()
            said += f" {describe_batch(self.batches, step)}"
            state = begin()
            first = int(state.step)
            note(
                f"{said} To find what was first, steps {first + 1} to {step + 1} are "
                "done again; Ctrl-C leaves that out."
            )
            for number in range(first, step):
                batch = self._batch(number, state)
                state, metrics = self.advance(state, batch, self.key)
                jax.block_until_ready(metrics)
                if _should_stop(self.interrupts.requested, number + 1, self.config):
                    return said
            names = names_of(self.batches, step)
            return f"{said} {look(state, self._batch(step, state), names)}"
        except (
            Exception,
            KeyboardInterrupt,
        ) as error:  # the first counts
            why = shorten(str(error), 200) or type(error).__name__
            return f"{said} What was first could not be found: {why}"

    def _batch(self, step, state):
        """The batch of a step, as the network takes it, on the devices."""
        try:
            made = self.batches(step)
        except ChildProcessError as error:  # what makes batches has died
            self.reports.settle()
            saved = self._save_alone(state, step)
            raise ChildProcessError(f"{error} {saved}") from error
        return self.prepare(self.place(made), step)

    def _save(self, state, step, scores):
        self.checkpoints.save(
            state,
            position=self.batches.position(step),
            metadata=self.settings,
            metrics=scores,
        )

    def _save_alone(self, state, step):
        """Saves the steps since the last checkpoint; says what to do next."""
        if jax.process_count() > 1:  # the others are at work, and a save needs them all
            return "The same command goes on from the last checkpoint."
        if step and self.checkpoints.latest() != step:
            self._save(state, step, None)
        return f"Saved at step {step}; the same command goes on from there."


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
