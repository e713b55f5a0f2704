"""Figures of runs that no machine here can do: bytes and FLOPs of a step, on paper.

`python -m benchmarks.on_paper` counts; nothing is trained, and no time of this machine
counts but what a processor needs for reading. `docs/scaling.md` explains the columns.
"""

import dataclasses
import math
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app

from gpsattn_jax.flops import count_flops, matmul_bytes
from gpsattn_jax.models import pglsum, transxnet
from gpsattn_jax.stacks import block_names, by_name
from gpsattn_jax.systems import SYSTEMS
from gpsattn_jax.training.step import to_precision

# A chip of TPU v5e, as cloud.google.com/tpu/docs/v5e has it: FLOP/s in bfloat16,
# bytes/s of its memory, and of its links in one direction.
PEAK, MEMORY, LINKS = 197e12, 819e9, 200e9
HOP = 10e-6  # seconds, assumed, that the smallest all-reduce takes
PASSES = 3  # a step is a forward pass and twice as much backward
XLA_FLOPS = "forward, GFLOP of an example (XLA, lowered for a CPU)"
FLOPS = "forward, GFLOP of an example (matmuls, loops by trips)"
EXAMPLE_BYTES = "forward, MB that matmuls alone move for an example"
WEIGHT_BYTES = "forward, MB that they move for the weights"
READ_BYTES = "MB of an example, as it is read"
READ_RATE = "examples/s of a core that reads"
STEPS = 480  # of a video: four minutes, twice a second


@dataclasses.dataclass(frozen=True)
class Run:
    """A run on paper.

    Attributes:
        title: of its rows.
        system: a row of `SYSTEMS`.
        setup: its settings.
        batch_size: of all chips together.
        build: its config -> the network.
        inputs: shapes of one example.
        read: seconds of a core and bytes for one example: measured here.
    """

    title: str
    system: str
    setup: str
    batch_size: int
    build: Callable[[Any], Any]
    inputs: dict[str, jax.ShapeDtypeStruct]
    read: Callable[[], tuple[float, float]]


def main(argv: list[str]) -> None:
    """Prints the table of each run."""
    del argv
    for run in RUNS:
        facts = facts_of(run)
        print(f"\n{run.title}, a batch of {run.batch_size}, TPU v5e\n")
        for name, value in facts.items():
            print(f"  {name:<58}{value:>14,.4g}")
        for chips in (8, 64):
            print(f"\n  on {chips} chips")
            for name, value in on_chips(facts, run.batch_size, chips).items():
                print(f"  {name:<58}{value:>14,.4g}")


def facts_of(run: Run) -> dict[str, float]:
    """What does not depend on the number of chips."""
    config = SYSTEMS[run.system].face().SETUPS[run.setup]
    network = run.build(config.model)
    params, state = network.shapes()
    precision = config.train.precision

    def forward(params, state, inputs):
        cast = to_precision(params, precision), to_precision(inputs, precision)
        return network.apply(cast[0], state, **cast[1])[0]

    one = params, state, run.inputs
    lowered = jax.jit(forward).lower(*one).cost_analysis()
    two = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape[1:]), leaf.dtype), run.inputs
    )
    moved = [matmul_bytes(forward, params, state, inputs) for inputs in (one[2], two)]
    seconds, size = run.read()
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    return {
        "parameters": count,
        "bytes of gradients, float32": 4 * count,
        "batch norms": _batch_norms(state),
        XLA_FLOPS: lowered["flops"] / 1e9,
        FLOPS: count_flops(forward, *one) / 1e9,
        EXAMPLE_BYTES: (moved[1] - moved[0]) / 1e6,
        WEIGHT_BYTES: (2 * moved[0] - moved[1]) / 1e6,
        "forward, MB of an example, nothing fused (XLA)": lowered["bytes accessed"]
        / 1e6,
        READ_BYTES: size / 1e6,
        READ_RATE: 1 / seconds,
    }


def on_chips(facts: dict[str, float], batch_size: int, chips: int) -> dict[str, float]:
    """Times of a step in ms at the chip's peaks, and what the input must bring."""
    share = batch_size / chips
    flops = PASSES * 1e9 * facts[FLOPS] * share
    moved = PASSES * 1e6 * (facts[EXAMPLE_BYTES] * share + facts[WEIGHT_BYTES])
    ring = 2 * (chips - 1) / chips * facts["bytes of gradients, float32"]
    norms = 2 * facts["batch norms"] * HOP
    rate = batch_size / (max(flops / PEAK, moved / MEMORY) + norms)
    return {
        "examples a chip": share,
        "GFLOP a step and chip (forward x 3)": flops / 1e9,
        "GB of memory a step and chip, at the least (forward x 3)": moved / 1e9,
        "FLOP a byte, at the most": flops / moved,
        "FLOP a byte from which a chip is bound by compute": PEAK / MEMORY,
        "ms of compute": 1e3 * flops / PEAK,
        "ms of memory": 1e3 * moved / MEMORY,
        "MB that a chip sends for the gradients": ring / 1e6,
        "ms of links, beside the backward pass": 1e3 * ring / LINKS,
        "ms of batch norms that wait for each other": 1e3 * norms,
        "examples/s at those bounds, all chips": rate,
        "cores that read so many": rate / facts[READ_RATE],
        "GB/s that are read": rate * facts[READ_BYTES] / 1e3,
    }


def _batch_norms(state):
    """How many means of batch norms there are; a stack has one for each block."""
    names = [name for name in by_name(state) if name.split("/")[-1] == "mean"]
    return sum(len(block_names(name) or [name]) for name in names)


def read_photographs() -> tuple[float, float]:
    """(seconds of a processor, bytes) for a JPEG of 500 x 375, cropped to 224."""
    from benchmarks.input_pipeline import photographs

    with tempfile.TemporaryDirectory() as folder:
        images = photographs(pathlib.Path(folder))
        places = np.arange(len(images))
        files = [*pathlib.Path(folder).rglob("*.jpg")]
        size = sum(path.stat().st_size for path in files) / len(files)
        images.batch(places[:8], places[:8])
        start = time.process_time()
        images.batch(places, places)
        return (time.process_time() - start) / len(images), size


def read_features() -> tuple[float, float]:
    """(seconds of a processor, bytes) for a video of an HDF5 file and its padding."""
    from gpsattn_jax.data.videos.feature_files import read_videos, write_videos
    from gpsattn_jax.data.videos.videos import Video, VideoSet

    draw = np.random.default_rng(0)
    videos = [
        Video(
            name=f"video_{number}",
            features=draw.normal(size=(STEPS, 1024)).astype(np.float32),
            picks=np.arange(STEPS) * 15,
            num_frames=STEPS * 15,
            target=draw.random(STEPS).astype(np.float32),
        )
        for number in range(32)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "videos.h5"
        write_videos(path, videos, {"extractor": "made"})
        start = time.process_time()
        found, _ = read_videos(path)
        VideoSet([*found.values()]).batch(np.arange(len(found)))
        seconds = (time.process_time() - start) / len(videos)
        return seconds, path.stat().st_size / len(videos)


def _shape(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *shape), dtype)


RUNS = (
    Run(
        "TransXNet-B on ImageNet", "transxnet", "imagenet_base", 1024, transxnet.build,
        {"images": _shape(224, 224, 3)}, read_photographs,
    ),
    Run(
        f"PGL-SUM on videos of {STEPS} steps", "pglsum", "tvsum", 1024, pglsum.build,
        {"features": _shape(512, 1024), "length": _shape(dtype=jnp.int32)},
        read_features,
    ),
)  # fmt: skip

if __name__ == "__main__":
    app.run(main)
