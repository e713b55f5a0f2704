"""The accelerator at hand: its name, its two roofs, and how long a call takes on it."""

import dataclasses
import functools
import importlib.metadata
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import timing
from gpsattn_jax import launch
from gpsattn_jax.reader_errors import shorten

TURN = 0.02  # seconds of a turn; shorter calls are made several times in it
MOST = 20  # calls of a turn


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One of those that take turns.

    Attributes:
        call: starts the work and may return before it is done.
        wait: takes what `call` gave, and returns when that is there.
    """

    call: Callable[[], Any]
    wait: Callable[[Any], Any] = jax.block_until_ready


def of(function: Callable, *arguments: Any) -> Candidate:
    """The candidate that calls a function of JAX, compiled."""
    return Candidate(functools.partial(jax.jit(function), *arguments))


def lacking(cpu_will_do: bool) -> str:
    """What a run lacks, in a line; empty where there is what it needs."""
    chosen = os.environ.get("JAX_PLATFORMS", "")
    try:
        if jax.default_backend() != "cpu" or cpu_will_do:
            return ""
    except (RuntimeError, AssertionError) as error:  # JAX has both for it
        return f"JAX cannot start JAX_PLATFORMS={chosen}: {one_line(error)}."
    if chosen.startswith("cpu"):
        return "JAX_PLATFORMS=cpu keeps JAX from looking for an accelerator."
    device = next(filter(os.path.exists, launch.DEVICES), None)
    if device is None:
        return "This machine has no accelerator; --tiny tries the run on its CPU."
    extra = "cuda13" if "nvidia" in device else "tpu"
    return (
        f"There is {device}, but this JAX has no plugin for it: install "
        f'"jax[{extra}]=={jax.__version__}" into this Python.'
    )


def name() -> str:
    """What JAX calls the device."""
    return jax.devices()[0].device_kind


def versions() -> dict[str, str]:
    """Of what a figure depends on, besides the code here."""
    found = {}
    for package in ("jax", "jaxlib", "flax", "optax", "torch"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    return found


def matmul(tiny: bool, seconds: float) -> dict[str, Any]:
    """The rate of a large product in bfloat16."""
    side = 256 if tiny else 8192
    one, other = (
        jax.random.normal(jax.random.key(seed), (side, side), jnp.bfloat16)
        for seed in (0, 1)
    )
    ms = milliseconds({"ours": of(jnp.matmul, one, other)}, seconds)
    return {"ms": ms, "flops": 2 * side**3, "per_second": 2e3 * side**3 / ms["ours"]}


def copy(tiny: bool, seconds: float) -> dict[str, Any]:
    """The bytes a second of a large copy, those read and those written."""
    count = 2**18 if tiny else 2**29
    array = jnp.ones(count, jnp.float32)
    ms = milliseconds({"ours": of(jnp.negative, array)}, seconds)
    moved = 2 * array.nbytes
    return {"ms": ms, "bytes": moved, "per_second": 1e3 * moved / ms["ours"]}


def milliseconds(
    candidates: Mapping[str, Candidate], seconds: float
) -> dict[str, float]:
    """Median milliseconds of a call of each; they take turns.

    To start a small kernel takes as long as the kernel: its calls wait together.
    """
    calls = {one: _calls(candidate) for one, candidate in candidates.items()}
    turns = {
        one: functools.partial(_turn, candidate, calls[one])
        for one, candidate in candidates.items()
    }
    found = timing.interleaved(turns, seconds=seconds, least=3)
    return {one: ms / calls[one] for one, ms in found.items()}


def compared(
    ours: Candidate, others: Mapping[str, Candidate], seconds: float
) -> dict[str, Any]:
    """Times of ours and of the others that work here; why the rest do not.

    Returns:
        {"ms": {"ours": …, name: …}, "without": {name: the error in a line}}.
    """
    ours.wait(ours.call())
    working, without = {}, {}
    for one, candidate in others.items():
        try:
            candidate.wait(candidate.call())
            working[one] = candidate
        except Exception as error:  # whatever a library raises on a card unknown to it
            without[one] = one_line(error)
    ms = milliseconds({"ours": ours, **working}, seconds)
    return {"ms": ms, "without": without}


def one_line(error: BaseException) -> str:
    """An error as its kind and what it says, cut to a line."""
    text = shorten(str(error), 300)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _turn(candidate, calls):
    for _ in range(calls):
        out = candidate.call()
    candidate.wait(out)


def _calls(candidate):
    """How many calls make a turn; the first of two is not timed."""
    _turn(candidate, 1)
    start = time.perf_counter()
    _turn(candidate, 1)
    spent = max(time.perf_counter() - start, 1e-6)
    return min(max(int(TURN / spent), 1), MOST)
