"""A whole GSA-ResNet-50 training step at 224 px: compile time, time, memory."""

import resource
import statistics
import time

import jax

from benchmarks import steps
from gpsattn_jax.models import gsanet
from gpsattn_jax.training.config import TrainConfig

HEAD = (
    "network",
    "precision",
    "px",
    "batch",
    "compile s",
    "step ms",
    "images/s",
    "temp MiB",
    "peak process MiB",
)


def rows(seconds: float):
    """A row for each precision that the device is made for: the cells of HEAD."""
    del seconds
    model = gsanet.VARIANTS["50"]
    batch_size = 8 if steps.on_cpu() else 64
    yield row("GSA-ResNet-50, AdamW step", model, batch_size, "float32")
    if not steps.on_cpu():
        yield row("GSA-ResNet-50, AdamW step", model, batch_size, "bfloat16")


def row(
    name: str, model: gsanet.Config, batch_size: int, precision: str
) -> tuple[str, ...]:
    """One row: eight steps, of which the first two warm up."""
    config = TrainConfig(precision=precision)
    key = jax.random.key(0)
    state = steps.make_state(model, config)
    batch = jax.device_put(steps.made_up_batch(model, batch_size))
    step = steps.make_step(model, config)
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
    return (
        name,
        precision,
        str(model.image_size),
        str(batch_size),
        f"{compile_seconds:.0f}",
        f"{1e3 * median:.0f}",
        f"{batch_size / median:.1f}",
        f"{temp:.0f}",
        f"{peak:.0f}",
    )
