"""The four systems in bfloat16: rates, shares of the card's roofs, the first step.

A program's operations are XLA's own count, or that of its products and convolutions
from the trace where that is more: XLA counts a loop once, and no library's kernel. Its
bytes are XLA's count, so their share is the least that it can be.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import steps
from benchmarks.accelerator import card
from benchmarks.accelerator.rows import Row
from gpsattn_jax import flops
from gpsattn_jax.models import gpsnet, gsanet, pglsum, transxnet
from gpsattn_jax.systems.pglsum.setups import PAPER
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.losses import Loss, cross_entropy, summed_squares
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import copy, init_state
from gpsattn_jax.training.step import to_precision, train_step

CODE = ("accelerator/systems.py", "steps.py")
PRECISION = "bfloat16"


@dataclasses.dataclass(frozen=True)
class System:
    """A network at work.

    Attributes:
        name: with its size.
        unit: what a batch has `count` of.
        count: see `unit`.
        build: its `Functional`, of the model.
        model: its config.
        make_batch: {"inputs", "targets"} on the host.
        loss: of its training.
        config: likewise.
    """

    name: str
    unit: str
    count: int
    build: Callable[[Any], Any]
    model: Any
    make_batch: Callable[[], dict[str, dict[str, Any]]]
    loss: Loss = cross_entropy(0.1)
    config: TrainConfig = TrainConfig(precision=PRECISION)


def systems(tiny: bool) -> list[System]:
    """Each at a batch that fills a card of 40 GB or more."""
    if tiny:
        return [
            transxnet_of(SMALLEST, "smallest", 2),
            gsanet_of(SMALLEST_GSA, "smallest", 2),
            gpsnet_of(SHORTEST, "shortest", 2, frames=4),
            pglsum_of(pglsum.Config(input_size=16, num_heads=2), 2, steps_of_each=16),
        ]
    return [
        transxnet_of(transxnet.VARIANTS["tiny"], "tiny", 128),
        gsanet_of(gsanet.VARIANTS["50"], "50", 64),
        gpsnet_of(gpsnet.VARIANTS["base"], "base", 128, frames=64),
        pglsum_of(pglsum.Config(), 32, steps_of_each=1024),
    ]


def rows(tiny: bool) -> Iterator[Row]:
    """The training steps, then the forward passes."""
    for measure, what, takes in ((step, "step", 90), (forward, "forward", 45)):
        for system in systems(tiny):
            work = functools.partial(measure, system)
            yield Row(f"{system.name}: {what}", work, CODE, takes)


# One stage of four-pixel patches.
SMALLEST = transxnet.Config(
    depths=(1,),
    widths=(8,),
    num_heads=(2,),
    num_groups=(2,),
    kernel_sizes=(3,),
    reductions=(2,),
    mlp_ratios=(2,),
    remat=(False,),
    image_size=16,
    num_classes=3,
)
SMALLEST_GSA = gsanet.Config(
    layers=(1,),
    widths=(8,),
    expansion=2,
    mixers=("gsa",),
    num_heads=2,
    image_size=8,
    stem="small",
    num_classes=3,
)
SHORTEST = gpsnet.Config(widths=(8,), strides=(2,), num_heads=2, num_classes=3)


def transxnet_of(model: transxnet.Config, size: str, batch: int) -> System:
    """TransXNet on images."""
    make = functools.partial(steps.made_up_batch, model, batch)
    return System(f"TransXNet-{size}", "images", batch, transxnet.build, model, make)


def gsanet_of(model: gsanet.Config, size: str, batch: int) -> System:
    """GSA-ResNet on images."""
    make = functools.partial(steps.made_up_batch, model, batch)
    return System(f"GSA-ResNet-{size}", "images", batch, gsanet.build, model, make)


def gpsnet_of(model: gpsnet.Config, size: str, batch: int, frames: int) -> System:
    """GPS-Net on clips of one person."""

    def make():
        draw = np.random.default_rng(0)
        shape = (batch, 1, frames, model.num_joints, model.in_channels)
        labels = draw.integers(0, model.num_classes, batch).astype(np.int32)
        joints = draw.normal(size=shape).astype(np.float32)
        return {"inputs": {"joints": joints}, "targets": {"label": labels}}

    return System(f"GPS-Net-{size}", "clips", batch, gpsnet.build, model, make)


def pglsum_of(model: pglsum.Config, videos: int, steps_of_each: int) -> System:
    """PGL-SUM on videos; what is counted are their steps."""

    def make():
        draw = np.random.default_rng(0)
        shape = (videos, steps_of_each)
        features = draw.random((*shape, model.input_size), np.float32) / 32
        length = np.full(videos, steps_of_each, np.int32)
        return {
            "inputs": {"features": features, "length": length},
            "targets": {"score": draw.random(shape, np.float32), "length": length},
        }

    config = dataclasses.replace(PAPER, precision=PRECISION)
    count = videos * steps_of_each
    return System(
        "PGL-SUM", "steps", count, pglsum.build, model, make, summed_squares(), config
    )


def step(system: System, seconds: float) -> dict[str, Any]:
    """A training step: from nothing to the first one, then its rate."""
    start = time.perf_counter()
    network, optimizer = system.build(system.model), make_optimizer(system.config)
    state = copy(init_state(network, optimizer, jax.random.key(0)))
    jax.block_until_ready(state)
    init = time.perf_counter() - start
    train = functools.partial(
        train_step,
        network=network,
        loss=system.loss,
        optimizer=optimizer,
        config=system.config,
    )
    batch, key = jax.device_put(system.make_batch()), jax.random.key(0)
    compiled, figures = compile_timed(
        jax.jit(train, donate_argnums=0), state, batch, key
    )
    kept = [state]
    del state  # the first step takes its memory

    def call():
        kept[0], metrics = compiled(kept[0], batch, key)
        return metrics

    figures |= first_call(call, init, figures)
    ms = card.milliseconds({"ours": card.Candidate(call)}, seconds)
    return {"ms": ms, "count": system.count, "unit": system.unit, **figures}


def forward(system: System, seconds: float) -> dict[str, Any]:
    """The forward pass in evaluation."""
    start = time.perf_counter()
    network = system.build(system.model)
    params, state = jax.block_until_ready(network.init(jax.random.key(0)))
    init = time.perf_counter() - start
    run, arguments = forward_call(network, params, state, system.make_batch()["inputs"])
    compiled, figures = compile_timed(jax.jit(run), *arguments)
    call = functools.partial(compiled, *arguments)
    figures |= first_call(call, init, figures)
    ms = card.milliseconds({"ours": card.Candidate(call)}, seconds)
    return {"ms": ms, "count": system.count, "unit": system.unit, **figures}


def forward_call(
    network: Any, params: Any, state: Any, inputs: dict[str, Any]
) -> tuple[Callable, tuple]:
    """The forward pass in bfloat16, and what it is called with."""

    def run(params, state, inputs):
        return network.apply(params, state, **inputs)[0]

    params, inputs = to_precision((params, inputs), PRECISION)
    return run, (params, state, jax.device_put(inputs))


def compile_timed(function: Any, *arguments: Any) -> tuple[Any, dict[str, Any]]:
    """(compiled, seconds and counts of it)."""
    start = time.perf_counter()
    traced = function.trace(*arguments)
    lowered = traced.lower()
    traced_at = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
    cost = compiled.cost_analysis() or {}
    products = flops.count_in(traced.jaxpr)
    return compiled, {
        "trace_s": traced_at - start,
        "compile_s": end - traced_at,
        "flops": max(products, cost.get("flops", 0.0)),
        "bytes": max(0.0, cost.get("bytes accessed", 0.0)),
        "products_flops": products,
        "temp_mib": compiled.memory_analysis().temp_size_in_bytes / 2**20,
    }


def first_call(call: Callable, init: float, figures: dict) -> dict[str, float]:
    """Seconds of the start, and of all up to the end of the first call."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    spent = time.perf_counter() - start
    whole = init + figures["trace_s"] + figures["compile_s"] + spent
    return {"init_s": init, "first_s": whole}
