"""What `fit` adds to a step: against a bare loop over the same compiled step."""

import contextlib
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax

from benchmarks import steps
from gpsattn_jax.data.batches import Arrays, Batch, Batches
from gpsattn_jax.data.prefetch import Prefetched
from gpsattn_jax.models import gsanet
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.loop import BatchSource, fit
from gpsattn_jax.training.losses import cross_entropy

HEAD = (
    "network",
    "batch",
    "steps",
    "bare loop, step ms",
    "fit, step ms",
    "overhead %",
    "lowest and highest of the rounds %",
)
WARM = 5  # steps of a round that are not timed
ROUNDS = 7


class Clocked:
    """A source of batches that notes when each step asks for its own."""

    def __init__(self, batches: BatchSource):
        self._batches = batches
        self.asked: list[float] = []

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        self.asked.append(time.perf_counter())
        return self._batches(step)

    def position(self, step: int) -> dict[str, Any]:
        """Where the data stands before a step."""
        return self._batches.position(step)


def rows(seconds: float):
    """One row: the cells of HEAD; a step takes about 100 ms."""
    del seconds
    name, batch_size = ("32px_patches", 64) if steps.on_cpu() else ("50", 64)
    yield row(f"GSA-ResNet-{name}", gsanet.VARIANTS[name], batch_size, num_steps=40)


def row(
    name: str,
    model: gsanet.Config,
    batch_size: int,
    *,
    num_steps: int,
    rounds: int = ROUNDS,
) -> tuple[str, ...]:
    """Both loops take turns; each turn gives the mean of its steps, a row medians."""
    config = TrainConfig(
        num_steps=num_steps,
        batch_size=batch_size,
        log_every=10,
        evaluate_every=num_steps + 1,
    )
    examples = steps.made_up_batch(model, 4 * batch_size)
    source = Batches(Arrays(**examples), batch_size=batch_size, seed=0)
    step = steps.make_step(model, config)
    turns = {
        "bare": functools.partial(bare_loop, model, config, step, source),
        "fit": functools.partial(fit_loop, model, config, source),
    }
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds):
        # Each goes first in turn, so that a steady drift of the machine cancels.
        for candidate in list(turns)[:: -1 if number % 2 else 1]:
            taken[candidate].append(turns[candidate]())
    bare, whole = taken["bare"], taken["fit"]
    overheads = [100 * (b / a - 1) for a, b in zip(bare, whole, strict=True)]
    return (
        name,
        str(batch_size),
        str(num_steps - WARM - 1),
        f"{1e3 * statistics.median(bare):.2f}",
        f"{1e3 * statistics.median(whole):.2f}",
        f"{statistics.median(overheads):.1f}",
        f"{min(overheads):.1f}, {max(overheads):.1f}",
    )


def bare_loop(
    model: gsanet.Config, config: TrainConfig, step: Callable, source: BatchSource
) -> float:
    """Seconds of a step: batches are on the device, nothing is read before the end."""
    key = jax.random.key(config.seed)
    state = steps.make_state(model, config)
    batches = [jax.device_put(source(number)) for number in range(4)]
    for number in range(WARM):
        state, _ = step(state, batches[number % 4], key)
    jax.block_until_ready((state, batches))
    start = time.perf_counter()
    for number in range(WARM, config.num_steps - 1):
        state, _ = step(state, batches[number % 4], key)
    jax.block_until_ready(state)
    return (time.perf_counter() - start) / (config.num_steps - 1 - WARM)


def fit_loop(model: gsanet.Config, config: TrainConfig, source: BatchSource) -> float:
    """Seconds of a step, from when the first timed one asks for its batch.

    The last step is left out: an evaluation and a checkpoint follow it.
    """
    with (
        tempfile.TemporaryDirectory() as workdir,
        Prefetched(source, stop=config.num_steps) as ready,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        clocked = Clocked(ready)
        fit(
            gsanet.build(model),
            cross_entropy(config.label_smoothing),
            clocked,
            lambda params, state: {"accuracy": 0.0},
            config,
            workdir,
        )
    return (clocked.asked[-1] - clocked.asked[WARM]) / (config.num_steps - 1 - WARM)
