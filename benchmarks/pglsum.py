"""PGL-SUM beside its operators in PyTorch: time by length, memory, an epoch.

The peer is a restatement under the official names (`pglsum_torch`), with the same
weights, compared before it is timed: as shipped, where each head makes its positions
again, and with positions made once for all heads. Each length runs in a process of its
own, since peak memory is a process's; ours is read before PyTorch is imported.
"""

import functools
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from gpsattn_jax.convert.pglsum import to_torch
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
    "ours ms",
    "PyTorch as shipped / ours",
    "positions made once / ours",
    "peak GB",
    *timing.COLUMNS,
)
PASSES = ("forward", "forward and backward")
LENGTHS = (320, 1000, 5000)
LONG = 7200  # ours alone


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """By length, then a training epoch: the cells of HEAD."""
    cases = [(what, steps) for what in PASSES for steps in LENGTHS]
    for what, steps in (*cases, (PASSES[0], LONG)):
        yield _in_a_process(what, steps, seconds)
    yield epoch_row(seconds)
    yield epoch_row(seconds, steps=30, channels=96)


def _in_a_process(what, steps, seconds):
    call = f"json.dumps(pglsum.length_row({what!r}, {steps}, {seconds}))"
    code = f"import json; from benchmarks import pglsum; print({call})"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def length_row(what: str, steps: int, seconds: float) -> tuple[str, ...]:
    """One row: the default model on one video."""
    config = pglsum.Config()
    network = pglsum.build(config)
    params, state = network.init(jax.random.key(0))
    features = jax.random.normal(jax.random.key(1), (1, steps, config.input_size))
    features /= jnp.linalg.norm(features, axis=-1, keepdims=True)

    def scores(params, features):
        return network.apply(params, state, features)[0]

    def loss(params, features):
        return jnp.mean((scores(params, features) - 0.3) ** 2)

    train = what != PASSES[0]
    run = jax.jit(jax.grad(loss) if train else scores)
    run = run.lower(params, features).compile()

    def ours():
        return jax.block_until_ready(run(params, features))

    ours()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    expected = np.asarray(scores(params, features))[0] if steps <= LENGTHS[-1] else None
    weights = to_torch(config, params, state)
    peers = {} if expected is None else make_peers(weights, features, expected, train)
    costs = timing.costs(
        {"ours": ours, **timing.matmul(), **peers},
        seconds=seconds,
        least=5,
    )

    def ratio(peer):
        return f"{costs[peer].ms / costs['ours'].ms:.2f}" if peer in costs else "-"

    return (
        f"default model, {what}",
        f"{steps:,}",
        f"{costs['ours'].ms:.4g}",
        ratio("shipped"),
        ratio("shared"),
        f"{peak:.2f}",
        *timing.columns(costs),
    )


def make_peers(
    weights: dict[str, np.ndarray],
    features: jax.Array,
    expected: np.ndarray,
    train: bool,
) -> dict[str, Callable[[], object]]:
    """Turns of the same pass in PyTorch; none without it.

    Args:
        weights: by the official names.
        features: [1, T, D].
        expected: our scores [T].
        train: forward and backward.

    Raises:
        AssertionError: if theirs and ours differ: a wrong network has no speed.
    """
    try:
        import torch

        from benchmarks.pglsum_torch import Peer
    except ImportError:
        return {}
    x = torch.tensor(np.asarray(features)[0])
    turns = {}
    for name, shared in (("shipped", False), ("shared", True)):
        peer = Peer(pglsum.Config(), shared=shared).eval()
        peer.load_state_dict({key: torch.tensor(a) for key, a in weights.items()})
        with torch.no_grad():
            error = np.abs(peer(x).numpy() - expected).max()
        if error > 1e-4:
            raise AssertionError(f"Ours and PyTorch differ by {error:.1e}.")
        turns[name] = functools.partial(_ask, peer, x, train)
    return turns


def _ask(peer, x, train):
    import torch

    if not train:
        with torch.no_grad():
            return peer(x)
    peer.zero_grad(set_to_none=True)
    return ((peer(x) - 0.3) ** 2).mean().backward()


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
    what = f"epoch, {videos} videos of {channels:,} channels, all at once"
    together, alone_ms = median["together"], median["one by one"]
    return (
        f"{what}; one by one / at once: {alone_ms / together:.2f}",
        f"{steps}",
        f"{together:.4g}",
        *["-"] * (len(HEAD) - 3),
    )
