"""A whole GSA-ResNet-50 training step at 224 px: compile time, time, memory."""

import functools
import resource
import statistics
import time

import jax
import numpy as np

from gpsattn_jax.models import gsanet
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import init_state
from gpsattn_jax.training.step import train_step

HEAD = (
    "network",
    "px",
    "batch",
    "compile s",
    "step ms",
    "images/s",
    "temp MiB",
    "peak process MiB",
)


def rows(seconds: float):
    """One row: the cells of HEAD."""
    del seconds
    batch_size, size = 8, 224
    network = gsanet.build(gsanet.VARIANTS["50"])
    optimizer = make_optimizer(TrainConfig())
    key = jax.random.key(0)
    state = init_state(network, optimizer, key)
    draw = np.random.default_rng(0)
    batch = {
        "inputs": {"images": draw.normal(size=(batch_size, size, size, 3)).astype("f")},
        "targets": {"label": draw.integers(0, 1000, batch_size).astype(np.int32)},
    }
    step = jax.jit(
        functools.partial(
            train_step, network=network, loss=cross_entropy(0.1), optimizer=optimizer
        ),
        donate_argnums=0,
    )
    start = time.perf_counter()
    compiled = step.lower(state, batch, key).compile()
    compile_seconds = time.perf_counter() - start
    times = []
    for _ in range(8):
        start = time.perf_counter()
        state, metrics = compiled(state, batch, key)
        jax.block_until_ready((state, metrics))
        times.append(time.perf_counter() - start)
    median = statistics.median(times[2:])
    temp = compiled.memory_analysis().temp_size_in_bytes / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    yield (
        "GSA-ResNet-50, AdamW step",
        str(size),
        str(batch_size),
        f"{compile_seconds:.0f}",
        f"{1e3 * median:.0f}",
        f"{batch_size / median:.1f}",
        f"{temp:.0f}",
        f"{peak:.0f}",
    )
