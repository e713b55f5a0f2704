"""Seconds from starting Python to the first finished step, by compilation cache."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.timing import size_of

HEAD = (
    "compilation cache",
    "network",
    "px",
    "batch",
    "to the first step s",
    "imports s",
    "tracing s",
    "compiling or loading s",
    "cache MiB",
)
EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "trace",
    "/jax/core/compile/backend_compile_duration": "compile",
}


def rows(seconds: float):
    """A row without the persistent cache, with an empty one, with a filled one."""
    del seconds
    with tempfile.TemporaryDirectory() as cache:
        for name, folder in (("none", ""), ("empty", cache), ("filled", cache)):
            yield row(name, folder)


def row(
    name: str,
    cache: str,
    *,
    variant: str = "50",
    size: int = 224,
    batch_size: int = 8,
) -> tuple[str, ...]:
    """One row: a fresh process, timed from its start to the line that it prints."""
    kept = size_of(pathlib.Path(cache)) if cache else 0
    arguments = [variant, str(size), str(batch_size)]
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.first_step", *arguments],
        env=environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    parts = json.loads(line)
    return (
        name,
        f"GSA-ResNet-{variant}",
        str(size),
        str(batch_size),
        f"{seconds:.1f}",
        f"{parts['imports']:.1f}",
        f"{parts['trace']:.1f}",
        f"{parts['compile']:.1f}",
        f"{kept / 2**20:.1f}" if cache else "-",
    )


def environment(cache: str) -> dict[str, str]:
    """This process's environment with that cache, which then keeps every program."""
    chosen = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    if cache:
        chosen = {
            "JAX_ENABLE_COMPILATION_CACHE": "true",
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return os.environ | chosen


def train_one_step(variant: str, size: int, batch_size: int) -> None:
    """Trains for a step with `fit`, and prints what took how long when it is done."""
    start = time.perf_counter()
    import dataclasses

    import jax

    from benchmarks import steps
    from gpsattn_jax.data.batches import Arrays, Batches
    from gpsattn_jax.models import gsanet
    from gpsattn_jax.training.config import TrainConfig
    from gpsattn_jax.training.loop import fit
    from gpsattn_jax.training.losses import cross_entropy

    spent = {"imports": time.perf_counter() - start, "trace": 0.0, "compile": 0.0}

    def add(event, duration, **_):
        if event in EVENTS:
            spent[EVENTS[event]] += duration

    def tell(params, state):
        """The evaluation, which comes when the step's metrics have been read."""
        del params, state
        print(json.dumps(spent), flush=True)
        return {"accuracy": 0.0}

    jax.monitoring.register_event_duration_secs_listener(add)
    model = dataclasses.replace(gsanet.VARIANTS[variant], image_size=size)
    config = TrainConfig(num_steps=1, batch_size=batch_size)
    examples = Arrays(**steps.made_up_batch(model, batch_size))
    batches = Batches(examples, batch_size=batch_size, seed=0)
    loss = cross_entropy(config.label_smoothing)
    with tempfile.TemporaryDirectory() as workdir:
        fit(gsanet.build(model), loss, batches, tell, config, workdir)


if __name__ == "__main__":
    train_one_step(sys.argv[1], *map(int, sys.argv[2:]))
