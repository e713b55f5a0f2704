"""PGL-SUM: forward and forward with backward, time and memory by length; an epoch.

Each row runs in a process of its own, since peak memory is a process's. CPU-seconds are
those of all threads; the official figures are of one thread, on a machine whose matrix
products run at 103 GFLOP/s a core, and are given here at the rate measured beside ours.
"""

import functools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from gpsattn_jax.data.videos.videos import Video, VideoSet
from gpsattn_jax.models import pglsum
from gpsattn_jax.systems.pglsum.setups import PAPER
from gpsattn_jax.training.losses import summed_squares
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import init_state
from gpsattn_jax.training.step import train_step

HEAD = (
    "what",
    "steps",
    "CPU-s",
    "wall s",
    "official CPU-s, at this rate",
    "times less CPU",
    "times less wall",
    "peak GB (official)",
    "matmul GFLOP/s a CPU-s",
)
# CPU-seconds and peak GB of the official model (the specification, section 7).
OFFICIAL = {
    ("forward", 320): (0.063, 0.29),
    ("forward", 1000): (0.314, 0.40),
    ("forward", 5000): (9.84, 1.17),
    ("forward and backward", 320): (0.158, 0.35),
    ("forward and backward", 1000): (0.726, 0.61),
    ("forward and backward", 5000): (20.8, 3.84),
}
OFFICIAL_RATE = 103.0
SIDE = 1024


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """By length, then a training epoch: the cells of HEAD."""
    for what, steps in (*OFFICIAL, ("forward", 7200), ("forward", 50_000)):
        yield _cells(what, steps, _measured(what, steps, seconds))
    yield epoch_row(seconds)
    yield epoch_row(seconds, steps=30, channels=96)


def _measured(what, steps, seconds):
    """[CPU-s, wall s, GFLOP/s, peak GB], from a fresh process."""
    call = f"pglsum.measure({what!r}, {steps}, {seconds})"
    code = f"from benchmarks import pglsum; pglsum.tell({call})"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def tell(found: list[float]) -> None:
    """Prints what a process measured, for the one that asked."""
    print(json.dumps(found))


def measure(what: str, steps: int, seconds: float) -> list[float]:
    """[CPU-s, wall s, GFLOP/s of a product in a CPU-second, peak GB]; medians."""
    network = pglsum.build(pglsum.Config())
    params, state = network.init(jax.random.key(0))
    features = jax.random.normal(jax.random.key(1), (1, steps, 1024))
    features /= jnp.linalg.norm(features, axis=-1, keepdims=True)

    def scores(params, features):
        return network.apply(params, state, features)[0]

    def loss(params, features):
        return jnp.mean((scores(params, features) - 0.3) ** 2)

    function = {"forward": scores, "forward and backward": jax.grad(loss)}[what]
    run = jax.jit(function).lower(params, features).compile()
    matrix = jax.random.normal(jax.random.key(2), (SIDE, SIDE))
    product = jax.jit(jnp.matmul)
    turns: list[list[float]] = [[], [], []]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(turns[0]) < (3 if steps < 20_000 else 1):
        rate, _ = _seconds(lambda: [product(matrix, matrix) for _ in range(5)])
        cpu, wall = _seconds(lambda: run(params, features))
        for values, value in zip(
            turns, (cpu, wall, 5 * 2e-9 * SIDE**3 / rate), strict=True
        ):
            values.append(value)
    kept = [statistics.median(values[1:] or values) for values in turns]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [*kept, peak]


def _seconds(run):
    """(CPU, wall) seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    jax.block_until_ready(run())
    return time.process_time() - cpu, time.perf_counter() - wall


def _cells(what, steps, found):
    cpu, wall, rate, peak = found
    seconds, memory = OFFICIAL.get((what, steps), (None, None))
    if seconds is not None:
        seconds *= OFFICIAL_RATE / rate

    def less(ours):
        return "-" if seconds is None else f"{seconds / ours:.2f}"

    return (
        f"default model, {what}",
        f"{steps:,}",
        f"{cpu:.3f}",
        f"{wall:.3f}",
        "-" if seconds is None else f"{seconds:.3f}",
        less(cpu),
        less(wall),
        f"{peak:.2f}" + (f" ({memory})" if memory else ""),
        f"{rate:.0f}",
    )


def epoch_row(
    seconds: float, videos: int = 20, steps: int = 300, channels: int = 1024
) -> tuple[str, ...]:
    """A training step of all videos beside the same sums, one video at a time."""
    rng = np.random.default_rng(0)
    known = [
        Video(
            name=str(number),
            features=rng.random((steps, channels), np.float32) / 32,
            picks=np.arange(steps) * 15,
            num_frames=steps * 15,
            target=rng.random(steps, np.float32),
        )
        for number in range(videos)
    ]
    source = VideoSet(known)
    network = pglsum.build(pglsum.Config(input_size=channels))
    optimizer, loss = make_optimizer(PAPER), summed_squares()
    key = jax.random.key(0)
    state = init_state(network, optimizer, key)
    together = jax.device_put(source.batch(np.arange(videos)))
    alone = [jax.device_put(source.batch(np.array([n]))) for n in range(videos)]
    step = jax.jit(
        functools.partial(
            train_step, network=network, loss=loss, optimizer=optimizer, config=PAPER
        )
    )

    def objective(params, batch):
        out, _ = network.apply(
            params, state.model_state, **batch["inputs"], train=True, rng=key
        )
        return loss(out, batch["targets"])[0]

    gradient = jax.jit(jax.grad(objective))
    add = jax.jit(lambda a, b: jax.tree.map(jnp.add, a, b))
    update = jax.jit(optimizer.update)

    def one_by_one():
        total = gradient(state.params, alone[0])
        for batch in alone[1:]:
            total = add(total, gradient(state.params, batch))
        jax.block_until_ready(update(total, state.opt_state, state.params))

    median = timing.interleaved(
        {
            "together": lambda: jax.block_until_ready(step(state, together, key)),
            "one by one": one_by_one,
        },
        seconds=seconds,
        least=3,
    )
    one, all_ = median["one by one"] / 1e3, median["together"] / 1e3
    what = f"epoch, {videos} videos of {channels:,} channels (one by one {one:.4f} s)"
    return (
        what,
        f"{steps}",
        "-",
        f"{all_:.4f}",
        "-",
        "-",
        f"{one / all_:.2f}",
        "-",
        "-",
    )
