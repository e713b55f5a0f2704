"""TransXNet beside the official network's operators in PyTorch, turn by turn.

The peer is a restatement under the official names (`transxnet_torch`), with the same
weights, compared before it is timed: eager, with channels last, and compiled.
"""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import steps, timing
from gpsattn_jax.convert.transxnet import to_torch
from gpsattn_jax.models import transxnet
from gpsattn_jax.training.config import TrainConfig

HEAD = (
    "network",
    "pass",
    "batch",
    "ours ms",
    "PyTorch eager / ours",
    "channels_last / ours",
    "torch.compile / ours",
    "trace and compile s",
    "temp MiB",
    *timing.COLUMNS,
)
# Compiling takes PyTorch one to two minutes for a shape.
COMPILED = {("tiny", 1), ("tiny", 8)}


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """The forward pass and a training step: the cells of HEAD."""
    if steps.on_cpu():
        for name, batch_size in (("tiny", 8), ("tiny", 1), ("small", 8), ("base", 8)):
            yield forward_row(name, batch_size, seconds)
        yield step_row("tiny", 8, seconds)
        return
    for name in transxnet.VARIANTS:
        yield step_row(name, 128, seconds)
        yield forward_row(name, 128, seconds)


@functools.cache
def weights(name: str) -> tuple[dict, dict]:
    """(params, state) of a variant; its start takes long to compile."""
    network = transxnet.build(transxnet.VARIANTS[name])
    return network.init(jax.random.key(0))


def forward_row(name: str, batch_size: int, seconds: float) -> tuple[str, ...]:
    """One row: the forward pass."""
    model = transxnet.VARIANTS[name]
    network = transxnet.build(model)
    params, state = weights(name)
    images = steps.made_up_batch(model, batch_size)["inputs"]["images"]

    def forward(params, state, images):
        return network.apply(params, state, images)[0]

    start = time.perf_counter()
    compiled = jax.jit(forward).lower(params, state, images).compile()
    first = time.perf_counter() - start
    run = functools.partial(compiled, params, state, jax.device_put(images))
    peers = forward_peers(name, images, run(), (name, batch_size) in COMPILED)
    return _row((name, "forward", batch_size), first, compiled, run, peers, seconds)


def step_row(name: str, batch_size: int, seconds: float) -> tuple[str, ...]:
    """One row: forward, backward, AdamW."""
    model, config = transxnet.VARIANTS[name], TrainConfig()
    if not steps.on_cpu():
        config = TrainConfig(precision="bfloat16")
    batch = steps.made_up_batch(model, batch_size)
    step = steps.Step(model, config, batch, transxnet.build)
    peers = step_peers(name, batch) if steps.on_cpu() else {}
    what = (name, "training step, AdamW", batch_size)
    return _row(what, step.seconds, step.compiled, step.take, peers, seconds)


def make_peer(name: str) -> Any:
    """The peer with our weights; None without PyTorch."""
    try:
        import torch

        from benchmarks.transxnet_torch import Peer
    except ImportError:
        return None
    config = transxnet.VARIANTS[name]
    arrays = to_torch(config, *weights(name))
    peer = Peer(config).eval()
    peer.load_state_dict({key: torch.tensor(a) for key, a in arrays.items()})
    return peer


def forward_peers(
    name: str, images: np.ndarray, expected: Any, compiled: bool
) -> dict[str, Callable[[], Any]]:
    """Turns of the forward pass in PyTorch, by name.

    Args:
        name: of the variant.
        images: [B, H, W, C].
        expected: our logits.
        compiled: with `torch.compile`, too.

    Raises:
        AssertionError: if theirs and ours differ: a wrong network has no speed.
    """
    peer = make_peer(name)
    if peer is None or not steps.on_cpu():
        return {}
    import torch

    planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    last = planes.contiguous(memory_format=torch.channels_last)
    other = make_peer(name).to(memory_format=torch.channels_last)
    calls = {"eager": (peer, planes), "channels_last": (other, last)}
    if compiled:
        calls["compile"] = (torch.compile(make_peer(name)), planes)
    expected = np.asarray(expected)

    def ask(network, x):
        with torch.no_grad():
            return network(x)

    for network, x in calls.values():
        error = np.abs(ask(network, x).numpy() - expected).max()
        if error > 1e-4 * np.abs(expected).max():
            raise AssertionError(f"Ours and PyTorch differ by {error:.1e}.")
    return {key: functools.partial(ask, *call) for key, call in calls.items()}


def step_peers(name: str, batch: dict) -> dict[str, Callable[[], Any]]:
    """The training step in PyTorch: forward, backward, AdamW, eager."""
    peer = make_peer(name)
    if peer is None:
        return {}
    import torch

    images = np.moveaxis(batch["inputs"]["images"], -1, 1)
    labels = torch.from_numpy(batch["targets"]["label"]).long()

    def turn(peer, images, optimizer):
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(peer(images), labels).backward()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 1.0)
        optimizer.step()

    turns = {}
    for key, memory in (
        ("eager", torch.contiguous_format),
        ("channels_last", torch.channels_last),
    ):
        peer = make_peer(name).to(memory_format=memory).train()
        planes = torch.from_numpy(np.ascontiguousarray(images))
        planes = planes.contiguous(memory_format=memory)
        optimizer = torch.optim.AdamW(peer.parameters(), 1e-3, weight_decay=0.05)
        turns[key] = functools.partial(turn, peer, planes, optimizer)
    return turns


def _row(what, first, compiled, run, peers, seconds) -> tuple[str, ...]:
    name, which, batch_size = what
    ours = {"ours": lambda: jax.block_until_ready(run()), **timing.matmul()}
    costs = timing.costs(ours | peers, seconds=seconds)

    def ratio(peer):
        return f"{costs[peer].ms / costs['ours'].ms:.2f}" if peer in costs else "-"

    return (
        f"TransXNet-{name}",
        which,
        str(batch_size),
        f"{costs['ours'].ms:.0f}",
        *map(ratio, ("eager", "channels_last", "compile")),
        f"{first:.0f}",
        f"{timing.megabytes(compiled):.0f}",
        *timing.columns(costs),
    )
