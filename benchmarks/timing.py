"""Interleaved timing: all candidates take turns in one process; sizes; the machine."""

import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 4.0,
    least: int = 7,
) -> dict[str, float]:
    """Median milliseconds of each candidate.

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
    times: dict[str, list[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(times))]) < least:
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


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
