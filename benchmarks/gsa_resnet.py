"""A whole GSA-ResNet-50 training step at 224 px: compile time, time, memory."""

import resource

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
    step = steps.Step(model, config, steps.made_up_batch(model, batch_size))
    costs = timing.costs({"ours": step.take, **timing.matmul()}, seconds=seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return (
        name,
        precision,
        str(model.image_size),
        str(batch_size),
        f"{step.seconds:.0f}",
        f"{costs['ours'].ms:.0f}",
        f"{1e3 * batch_size / costs['ours'].ms:.1f}",
        f"{timing.megabytes(step.compiled):.0f}",
        f"{peak:.0f}",
        *timing.columns(costs),
    )
