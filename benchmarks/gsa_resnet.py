"""A whole GSA-ResNet-50 training step at 224 px: compile time, time, memory."""

import resource
import time

import jax

from benchmarks import steps, timing
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
    *timing.COLUMNS,
)


def rows(seconds: float):
    """A row for each precision that the device is made for: the cells of HEAD."""
    model = gsanet.VARIANTS["50"]
    batch_size = 8 if steps.on_cpu() else 64
    yield row("GSA-ResNet-50, AdamW step", model, batch_size, "float32", seconds)
    if not steps.on_cpu():
        yield row("GSA-ResNet-50, AdamW step", model, batch_size, "bfloat16", seconds)


def row(
    name: str, model: gsanet.Config, batch_size: int, precision: str, seconds: float
) -> tuple[str, ...]:
    """One row: the step alone, in turns with a product of matrices."""
    config = TrainConfig(precision=precision)
    key = jax.random.key(0)
    state = steps.make_state(model, config)
    batch = jax.device_put(steps.made_up_batch(model, batch_size))
    step = steps.make_step(model, config)
    start = time.perf_counter()
    compiled = step.lower(state, batch, key).compile()
    compile_seconds = time.perf_counter() - start

    def run():
        nonlocal state  # the last one was donated
        state, metrics = compiled(state, batch, key)
        jax.block_until_ready((state, metrics))

    costs = timing.costs({"ours": run, **timing.matmul()}, seconds=seconds)
    temp = compiled.memory_analysis().temp_size_in_bytes / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return (
        name,
        precision,
        str(model.image_size),
        str(batch_size),
        f"{compile_seconds:.0f}",
        f"{costs['ours'].ms:.0f}",
        f"{1e3 * batch_size / costs['ours'].ms:.1f}",
        f"{temp:.0f}",
        f"{peak:.0f}",
        *timing.columns(costs),
    )
