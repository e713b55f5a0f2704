"""Memory of a training step of PGL-SUM on long videos, by devices along `seq`.

Nothing is run: XLA compiles the real step for pretended devices, from shapes alone, and
says what each would need. `python -m benchmarks.long_videos` prints the table of
docs/scaling.md; `--steps` and `--devices` choose others.
"""

import argparse
import functools
import itertools
import os
import sys
import time
from collections.abc import Iterator

HEAD = (
    "steps", "devices", "arguments GB", "temporaries GB", "together GB",
    "of one device", "collectives", "compiled in s",
)  # fmt: skip
STEPS = (50_000, 400_000)
DEVICES = (1, 2, 4, 8)
COLLECTIVES = ("all-gather", "all-to-all", "all-reduce", "collective-permute")


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--devices", type=int, nargs="+", default=DEVICES)
    given = parser.parse_args(arguments)
    # Before JAX is imported, which counts its devices once.
    os.environ["JAX_NUM_CPU_DEVICES"] = str(max(given.devices))
    os.environ["JAX_PLATFORMS"] = "cpu"
    head = HEAD, ("---",) * len(HEAD)
    for cells in itertools.chain(head, rows(given.steps, given.devices)):
        print("| " + " | ".join(cells) + " |", flush=True)


def rows(steps: list[int], devices: list[int]) -> Iterator[tuple[str, ...]]:
    """The cells of HEAD, by steps and devices."""
    for length in steps:
        first = None
        for count in devices:
            start = time.perf_counter()
            compiled = compiled_step(length, count)
            seconds = time.perf_counter() - start
            found = compiled.memory_analysis()
            arguments = found.argument_size_in_bytes
            # The new state takes the old one's place.
            extra = found.output_size_in_bytes - found.alias_size_in_bytes
            temporary = found.temp_size_in_bytes + extra
            total = arguments + temporary
            first = total if first is None else first
            text = compiled.as_text()
            kinds = [kind for kind in COLLECTIVES if kind in text]
            yield (
                f"{length:,}", str(count), f"{arguments / 1e9:.2f}",
                f"{temporary / 1e9:.2f}", f"{total / 1e9:.2f}",
                f"1/{first / total:.2f}", ", ".join(kinds) or "-", f"{seconds:.0f}",
            )  # fmt: skip


def compiled_step(length: int, devices: int):
    """The training step for one video of so many steps on so many devices."""
    import jax
    from jax.sharding import AxisType

    from gpsattn_jax.models import pglsum
    from gpsattn_jax.systems.pglsum.setups import SUMME
    from gpsattn_jax.training.losses import summed_squares
    from gpsattn_jax.training.optimizers import make_optimizer
    from gpsattn_jax.training.sharding import Placement
    from gpsattn_jax.training.state import init_state
    from gpsattn_jax.training.step import train_step

    mesh = jax.make_mesh(
        (1, devices), ("data", "seq"), devices=jax.devices()[:devices],
        axis_types=(AxisType.Auto,) * 2,
    )  # fmt: skip
    placement, config = Placement(mesh), SUMME.train
    network, optimizer = pglsum.build(SUMME.model), make_optimizer(config)
    key = jax.random.key(0)
    create = functools.partial(init_state, network, optimizer, key)
    state = placement.shapes(jax.eval_shape(create))
    channels = SUMME.model.input_size
    lengths = jax.ShapeDtypeStruct((1,), "int32")
    batch = {
        "inputs": {
            "features": jax.ShapeDtypeStruct((1, length, channels), "float32"),
            "length": lengths,
        },
        "targets": {
            "score": jax.ShapeDtypeStruct((1, length), "float32"),
            "length": lengths,
        },
    }
    batch = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=sharding
        ),
        batch,
        placement.batch_shardings(batch),
    )
    step = functools.partial(
        train_step, network=network, loss=summed_squares(), optimizer=optimizer,
        config=config,
    )  # fmt: skip
    where = jax.tree.map(lambda leaf: leaf.sharding, state)
    compiled = jax.jit(step, donate_argnums=0, out_shardings=(where, None))
    return placement.on_mesh(lambda *a: compiled.lower(*a).compile())(state, batch, key)


if __name__ == "__main__":
    main(sys.argv[1:])
