"""What each of `MIXERS` costs by the side of its map, in turns with the others."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks import timing
from gpsattn_jax.models.gsanet import Config, mixer_options
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.mixers import MIXERS, make_mixer

CHANNELS, HEADS = 64, 4
SIZES = {14: 8, 28: 2, 56: 1}  # pixels of a side: images of a batch
HEAD = (
    "px",
    "mixer",
    "parameters",
    "forward ms",
    "forward + backward ms",
    "temp MiB, forward",
    "temp MiB, both",
    *timing.COLUMNS,
)
# These hold numbers for all pairs of pixels, by head: 3,136^2 x 16 of them at 56 px.
TOO_LARGE = {(56, "lambda")}


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """By side, then by mixer: the cells of HEAD."""
    for size, batch in SIZES.items():
        names = [name for name in MIXERS if (size, name) not in TOO_LARGE]
        yield from rows_of_a_size(size, batch, names, seconds)


def rows_of_a_size(
    size: int, batch: int, names: list[str], seconds: float
) -> Iterator[tuple[str, ...]]:
    """One row for each mixer; all passes take turns."""
    options = mixer_options(Config(num_heads=HEADS, image_size=size), size)
    x = jax.random.normal(jax.random.key(0), (batch, size, size, CHANNELS))
    compiled, counts = {}, {}  # of (mixer, pass); of a mixer
    for name in names:
        network = make_network(name, options)
        params, state = network.init(jax.random.key(0))
        counts[name] = sum(leaf.size for leaf in jax.tree.leaves(params))
        for what in ("forward", "both"):
            passes = both if what == "both" else forward
            run = jax.jit(passes, static_argnums=0)
            run = run.lower(network, params, state, x).compile()
            compiled[f"{name}, {what}"] = run, (params, state, x)
    turns = {
        key: lambda run=run, arrays=arrays: jax.block_until_ready(run(*arrays))
        for key, (run, arrays) in compiled.items()
    }
    costs = timing.costs(turns | timing.matmul(), seconds=seconds * len(names))
    for name in names:
        yield (
            str(size),
            name,
            f"{counts[name]:,}",
            *(f"{costs[f'{name}, {what}'].ms:.4g}" for what in ("forward", "both")),
            *(
                f"{timing.megabytes(compiled[key][0]):.1f}"
                for key in (f"{name}, forward", f"{name}, both")
            ),
            *timing.columns(costs, f"{name}, both"),
        )


def make_network(name: str, options: dict) -> Functional:
    """A mixer alone, as a network of [B, H, W, C]."""

    class Alone(nnx.Module):
        def __init__(self, rngs):
            self.mix = make_mixer(MIXERS[name], CHANNELS, options, rngs=rngs)

        def __call__(self, x, *, train=False, rngs=None):
            return self.mix(x, train=train, rngs=rngs)

    return Functional(lambda rngs: Alone(rngs))


def forward(network: Functional, params: dict, state: dict, x: jax.Array) -> jax.Array:
    """The mixer in evaluation."""
    return network.apply(params, state, x)[0]


def both(network: Functional, params: dict, state: dict, x: jax.Array) -> tuple:
    """Gradients of its parameters and its input, in training."""

    def loss(params, x):
        return jnp.square(network.apply(params, state, x, train=True)[0]).mean()

    return jax.grad(loss, argnums=(0, 1))(params, x)
