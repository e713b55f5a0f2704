"""Seconds from starting Python to the first finished training step."""

import importlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.timing import size_of

NETWORKS = {
    "GSA-ResNet-50": ("gsanet", "50"),
    "TransXNet-tiny": ("transxnet", "tiny"),
    "TransXNet-small": ("transxnet", "small"),
    "TransXNet-base": ("transxnet", "base"),
}
HEAD = (
    "network",
    "px",
    "batch",
    "kept programs",
    "to the first step s",
    "imports s",
    "tracing s",
    "compiling or loading s",
    "optimizer arrays",
    "peak GiB",
    "kept MiB",
)
EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "trace",
    "/jax/core/compile/backend_compile_duration": "compile",
}


def rows(seconds: float):
    """A row for each network without kept programs, and one with them."""
    del seconds
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as cache:
            for _ in range(2):
                yield row(name, cache)


def row(
    name: str, cache: str, *, size: int = 224, batch_size: int = 8
) -> tuple[str, ...]:
    """One row: a fresh process, timed from its start to the line that it prints."""
    kept = size_of(pathlib.Path(cache))
    arguments = [*NETWORKS[name], str(size), str(batch_size)]
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
    found = json.loads(line)
    return (
        name,
        str(size),
        str(batch_size),
        "yes" if kept else "no",
        f"{seconds:.1f}",
        *(f"{found[part]:.1f}" for part in ("imports", "trace", "compile")),
        str(found["arrays"]),
        f"{found['peak']:.1f}",
        f"{size_of(pathlib.Path(cache)) / 2**20:.1f}",
    )


def environment(cache: str) -> dict[str, str]:
    """This process's environment with that cache, which then keeps every program."""
    return os.environ | {
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def train_one_step(system: str, variant: str, size: int, batch_size: int) -> None:
    """Trains for a step with `fit`, and prints what took how long when it is done."""
    start = time.perf_counter()
    import dataclasses

    import jax

    from benchmarks import steps
    from gpsattn_jax.data.batches import Arrays, Batches
    from gpsattn_jax.training.config import TrainConfig
    from gpsattn_jax.training.loop import fit
    from gpsattn_jax.training.losses import cross_entropy

    models = importlib.import_module(f"gpsattn_jax.models.{system}")
    spent = {"imports": time.perf_counter() - start, "trace": 0.0, "compile": 0.0}

    def add(event, duration, **_):
        if event in EVENTS:
            spent[EVENTS[event]] += duration

    def tell(params, state):
        """The evaluation, which comes when the step's metrics have been read."""
        del state
        arrays = 2 * len(jax.tree.leaves(params))  # AdamW's two moments
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(spent | {"arrays": arrays, "peak": peak}), flush=True)
        return {"accuracy": 0.0}

    jax.monitoring.register_event_duration_secs_listener(add)
    model = dataclasses.replace(models.VARIANTS[variant], image_size=size)
    config = TrainConfig(num_steps=1, batch_size=batch_size)
    examples = Arrays(**steps.made_up_batch(model, batch_size))
    batches = Batches(examples, batch_size=batch_size, seed=0)
    loss = cross_entropy(config.label_smoothing)
    with tempfile.TemporaryDirectory() as workdir:
        fit(models.build(model), loss, batches, tell, config, workdir)


if __name__ == "__main__":
    train_one_step(*sys.argv[1:3], *map(int, sys.argv[3:]))
