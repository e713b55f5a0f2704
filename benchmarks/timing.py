"""Interleaved timing: all candidates take turns in one process; sizes; the machine."""

import dataclasses
import os
import pathlib
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

# What stands beside every row: how idle the machine was, and where the time goes.
COLUMNS = ("matmul GFLOP/s", "page faults", "CPU s", "of it system %")
SIDE = 2048  # of the product that tells the machine's rate


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a turn takes: medians over the turns, but means of CPU time.

    Attributes:
        ms: milliseconds on the clock.
        cpu_ms: of all threads together.
        system: share of them that the kernel spent, in percent.
        faults: page faults that needed no disk.
    """

    ms: float
    cpu_ms: float
    system: float
    faults: float


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 4.0,
    least: int = 7,
) -> dict[str, float]:
    """Median milliseconds of each candidate; the arguments are those of `costs`."""
    found = costs(candidates, seconds=seconds, least=least)
    return {name: cost.ms for name, cost in found.items()}


def costs(
    candidates: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 4.0,
    least: int = 7,
) -> dict[str, Cost]:
    """What a turn of each candidate costs.

    The candidates take turns, so that a drift of the machine meets all of them alike;
    each has two turns to warm up (and compile) first.

    Args:
        candidates: functions that return when their work is done.
        seconds: how long to go on, in all.
        least: turns of each at the least.
    """
    for _ in range(2):
        for run in candidates.values():
            run()
    turns: dict[str, list[tuple[float, ...]]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(turns[next(iter(turns))]) < least:
        for name, run in candidates.items():
            turns[name].append(_turn(run))
    return {name: _cost(found) for name, found in turns.items()}


def matmul() -> dict[str, Callable[[], object]]:
    """A candidate that shows by its rate how idle the machine is: a float32 product."""
    import jax

    matrix = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
    product = jax.jit(jax.numpy.matmul)
    return {"matmul": lambda: jax.block_until_ready(product(matrix, matrix))}


def columns(found: Mapping[str, Cost], name: str = "ours") -> tuple[str, ...]:
    """The cells of COLUMNS, of a candidate that took turns with `matmul`."""
    cost = found[name]
    return (
        f"{2e-6 * SIDE**3 / found['matmul'].ms:.0f}",
        f"{cost.faults:.0f}",
        f"{cost.cpu_ms / 1e3:.3g}",
        f"{cost.system:.0f}",
    )


def _turn(run):
    """(wall, user, system) seconds and page faults of a call."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run()
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (
        wall,
        after.ru_utime - before.ru_utime,
        after.ru_stime - before.ru_stime,
        after.ru_minflt - before.ru_minflt,
    )


def _cost(turns):
    # Sums for what the clock of the kernel gives in ticks.
    wall, user, system, faults = zip(*turns, strict=True)
    cpu = sum(user) + sum(system)
    return Cost(
        ms=1e3 * statistics.median(wall),
        cpu_ms=1e3 * cpu / len(turns),
        system=100 * sum(system) / max(cpu, 1e-9),
        faults=statistics.median(faults),
    )


def megabytes(compiled: Any) -> float:
    """Temporary memory of a compiled function in MiB."""
    return compiled.memory_analysis().temp_size_in_bytes / 2**20


def size_of(folder: pathlib.Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def machine() -> str:
    """Processor, cores and versions, as one line."""
    import jax
    import jaxlib

    device = jax.devices()[0].device_kind
    name = _processor() if device == "cpu" else device
    versions = [f"Python {platform.python_version()}", f"jax {jax.__version__}"]
    versions.append(f"jaxlib {jaxlib.__version__}")
    try:
        import torch

        versions.append(f"torch {torch.__version__}")
    except ImportError:
        versions.append("no torch")
    return f"{name}, {os.cpu_count()} cores; {', '.join(versions)}"


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        return {key.strip(): value.strip() for key, value in lines.items()}[
            "model name"
        ]
    except (OSError, KeyError):
        return platform.processor() or platform.machine()
