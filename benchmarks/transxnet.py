"""TransXNet: forward and training step as multiples of their matmul floor.

The floor is the time that the network's multiply-adds would take at the rate of a
2048^3 float32 matrix product, measured in turns with the network: a machine that slows
down slows both. A training step counts as three forward passes.
"""

import functools
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import steps, timing
from gpsattn_jax.models import transxnet
from gpsattn_jax.training.config import TrainConfig

HEAD = (
    "network",
    "pass",
    "batch",
    "trace and compile s",
    "ms",
    "images/s",
    "matmul GFLOP/s",
    "times the floor",
    "temp MiB",
    "peak process MiB",
)
# Multiply-adds of convolutions and attention, 224 px (the specification of the paper's
# table; layer scales count as 1x1 convolutions).
MULTIPLY_ADDS = {"tiny": 1.807e9, "small": 4.607e9, "base": 8.353e9}
SIDE = 2048


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """A training step and the forward pass: the cells of HEAD."""
    if steps.on_cpu():
        yield step_row("tiny", 8, seconds)
        for name, batch_size in (("tiny", 1), ("tiny", 8), ("small", 8), ("base", 8)):
            yield forward_row(name, batch_size, seconds)
        return
    for name in MULTIPLY_ADDS:
        yield step_row(name, 128, seconds)
        yield forward_row(name, 128, seconds)


@functools.cache
def weights(name: str) -> tuple[dict, dict]:
    """(params, state) of a variant; its start takes long to compile."""
    network = transxnet.build(transxnet.VARIANTS[name])
    return network.init(jax.random.key(0))


def forward_row(name: str, batch_size: int, seconds: float) -> tuple[str, ...]:
    """One row: the forward pass."""
    model = transxnet.VARIANTS[name]
    network = transxnet.build(model)
    params, state = weights(name)
    images = steps.made_up_batch(model, batch_size)["inputs"]["images"]

    def forward(params, state, images):
        return network.apply(params, state, images)[0]

    compiled, compile_seconds = _compile(jax.jit(forward), params, state, images)
    run = functools.partial(compiled, params, state, jax.device_put(images))
    return _row(name, "forward", batch_size, 1, compile_seconds, compiled, run, seconds)


def step_row(name: str, batch_size: int, seconds: float) -> tuple[str, ...]:
    """One row: forward, backward, AdamW."""
    model, config = transxnet.VARIANTS[name], TrainConfig()
    if not steps.on_cpu():
        config = TrainConfig(precision="bfloat16")
    state = steps.make_state(model, config, transxnet.build)
    step = steps.make_step(model, config, transxnet.build)
    batch, key = steps.made_up_batch(model, batch_size), jax.random.key(0)
    compiled, compile_seconds = _compile(step, state, batch, key)
    batch = jax.device_put(batch)

    def run():
        nonlocal state  # the last one was donated
        state, metrics = compiled(state, batch, key)
        return state, metrics

    what = "training step, AdamW"
    return _row(name, what, batch_size, 3, compile_seconds, compiled, run, seconds)


def _compile(function: Any, *arguments: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    compiled = function.lower(*arguments).compile()
    return compiled, time.perf_counter() - start


def _row(
    name: str,
    what: str,
    batch_size: int,
    forwards: int,
    compile_seconds: float,
    compiled: Any,
    run: Callable[[], Any],
    seconds: float,
) -> tuple[str, ...]:
    matrix = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    matrix = jax.device_put(matrix)
    product = jax.jit(jax.numpy.matmul)
    median = timing.interleaved(
        {
            "matmul": lambda: jax.block_until_ready(product(matrix, matrix)),
            "network": lambda: jax.block_until_ready(run()),
        },
        seconds=seconds,
    )
    rate = 2 * SIDE**3 / median["matmul"]  # FLOP for each millisecond
    floor = 2 * forwards * batch_size * MULTIPLY_ADDS[name] / rate
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return (
        f"TransXNet-{name}",
        what,
        str(batch_size),
        f"{compile_seconds:.0f}",
        f"{median['network']:.0f}",
        f"{1e3 * batch_size / median['network']:.1f}",
        f"{rate / 1e6:.0f}",
        f"{median['network'] / floor:.2f}",
        f"{compiled.memory_analysis().temp_size_in_bytes / 2**20:.0f}",
        f"{peak:.0f}",
    )
