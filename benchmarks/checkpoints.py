"""What a checkpoint costs: how long it keeps the loop, until it is whole, its size."""

import functools
import statistics
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import steps
from benchmarks.timing import size_of
from gpsattn_jax.models import gsanet
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.checksums import write_checksums
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.sharding import place

HEAD = (
    "state",
    "arrays MiB",
    "save keeps the loop ms",
    "until it is whole s",
    "of it checksums s",
    "on disk MiB",
    "restore s",
)
PAUSE = 1.0  # seconds between saves: in a run they are minutes apart


def rows(seconds: float):
    """One row: the cells of HEAD."""
    del seconds
    yield row("GSA-ResNet-50, AdamW", gsanet.VARIANTS["50"])


def row(
    name: str, model: gsanet.Config, *, rounds: int = 5, pause: float = PAUSE
) -> tuple[str, ...]:
    """One row: medians; a save before them, which loads what Orbax needs, is left out.

    The loop is kept until `save` returns. A checkpoint is whole when its folder has its
    name, which is the last that happens to it.
    """
    create = functools.partial(steps.make_state, model, TrainConfig())
    target = place().shapes(jax.eval_shape(create))
    shardings = jax.tree.map(lambda leaf: leaf.sharding, target)
    state = jax.block_until_ready(jax.device_put(noise_like(create()), shardings))
    kept, whole, listed, restored = [], [], [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        Checkpoints(folder, keep_latest=1) as checkpoints,
    ):
        for number in range(rounds + 1):
            start = time.perf_counter()
            checkpoints.save(
                state._replace(step=jnp.int32(number)),
                position={"epoch": 0},
                metadata={},
                metrics={"accuracy": 0.0},
            )
            kept.append(time.perf_counter() - start)
            path = checkpoints.folder / str(number)
            while not path.is_dir():
                time.sleep(1e-3)
            whole.append(time.perf_counter() - start)
            time.sleep(pause)
            start = time.perf_counter()
            write_checksums(path)  # as the save did; the files lie in memory, as then
            listed.append(time.perf_counter() - start)
            start = time.perf_counter()
            jax.block_until_ready(checkpoints.restore(number, target))
            restored.append(time.perf_counter() - start)
        disk = size_of(path)
    arrays = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    return (
        name,
        f"{arrays / 2**20:.1f}",
        f"{1e3 * statistics.median(kept[1:]):.0f}",
        f"{statistics.median(whole[1:]):.2f}",
        f"{statistics.median(listed[1:]):.2f}",
        f"{disk / 2**20:.1f}",
        f"{statistics.median(restored[1:]):.2f}",
    )


def noise_like(state):
    """The state with random numbers in it: zeros would be packed away on disk."""
    draw = np.random.default_rng(0)

    def fill(leaf):
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return draw.normal(size=leaf.shape).astype(leaf.dtype) if floating else leaf

    return jax.tree.map(fill, state)
