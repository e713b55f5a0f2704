"""GPS-Net: training and recognition, beside a grouped convolution and PyTorch."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.models import gpsnet
from gpsattn_jax.modules import temporal_conv
from gpsattn_jax.systems.gpsnet.setups import SETUPS
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import copy, init_state
from gpsattn_jax.training.step import train_step

HEAD = (
    "network",
    "joints, frames",
    "what",
    "batch",
    "ours ms",
    "clips/s",
    "first one s",
    "grouped conv ms",
    "grouped / ours",
    "PyTorch ms",
    "PyTorch / ours",
    *timing.COLUMNS,
)
PARTS = 4  # of a training batch, see systems/gpsnet/setups.py


def _on(config, layout, coordinates, classes):
    return dataclasses.replace(
        config, edges=layout.edges, root=layout.root, num_joints=layout.num_joints,
        anchors=layout.anchors, in_channels=coordinates, num_classes=classes,
    )  # fmt: skip


KINECT, JHMDB = LAYOUTS["nw_ucla20"], LAYOUTS["jhmdb15"]
CASES = {
    "JHMDB-14 setup": (
        _on(SETUPS["jhmdb14"].model, JHMDB, 2, 14),
        SETUPS["jhmdb14"].data.num_frames,
    ),
    "tiny": (_on(gpsnet.VARIANTS["tiny"], KINECT, 3, 10), 32),
    "small": (_on(gpsnet.VARIANTS["small"], KINECT, 3, 10), 52),
}


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """A row for each network and kind of work: the cells of HEAD."""
    for name in CASES:
        for what, batch in (("training", 32), ("recognition", 32), ("recognition", 1)):
            yield row(name, what, batch, seconds)


def row(name: str, what: str, batch: int, seconds: float) -> tuple[str, ...]:
    """One row: the same weights and clips for all candidates."""
    config, frames = CASES[name]
    draw = np.random.default_rng(0)
    shape = (batch, 1, frames, config.num_joints, config.in_channels)
    joints = draw.normal(size=shape).astype(np.float32)
    make = training if what == "training" else recognition
    start = time.perf_counter()
    ours = make(config, joints)
    ours()
    first = time.perf_counter() - start
    with mock.patch.object(temporal_conv, "temporal_conv", grouped):
        gpsnet.build.cache_clear()  # so that the other convolution is traced
        plain = make(config, joints)
        plain()
    gpsnet.build.cache_clear()
    candidates = {"ours": ours, "grouped": plain}
    peer = torch_peer(config, joints, what == "training")
    if peer is not None:
        candidates["torch"] = peer
    costs = timing.costs(candidates | timing.matmul(), seconds=seconds)
    times = {key: cost.ms for key, cost in costs.items()}

    def cells(candidate):
        if candidate not in times:
            return "-", "-"
        ratio = times[candidate] / times["ours"]
        return f"{times[candidate]:.1f}", f"{ratio:.2f}"

    return (
        name,
        f"{config.num_joints}, {frames}",
        what,
        str(batch),
        f"{times['ours']:.1f}",
        f"{1e3 * batch / times['ours']:.0f}",
        f"{first:.1f}",
        *cells("grouped"),
        *cells("torch"),
        *timing.columns(costs),
    )


def training(config: gpsnet.Config, joints: np.ndarray) -> Callable[[], Any]:
    """A step of AdamW, in parts as the setups have it."""
    settings = TrainConfig(batch_size=len(joints), accumulate=PARTS)
    network, optimizer = gpsnet.build(config), make_optimizer(settings)
    state = copy(init_state(network, optimizer, jax.random.key(0)))
    step = jax.jit(
        functools.partial(
            train_step, network=network, loss=cross_entropy(0.1),
            optimizer=optimizer, config=settings,
        ),
        donate_argnums=0,
    )  # fmt: skip
    labels = np.arange(len(joints), dtype=np.int32) % config.num_classes
    batch = {"inputs": {"joints": joints}, "targets": {"label": labels}}
    kept = [state]

    def turn():
        kept[0], metrics = step(kept[0], batch, jax.random.key(1))
        jax.block_until_ready(metrics)

    return turn


def recognition(config: gpsnet.Config, joints: np.ndarray) -> Callable[[], Any]:
    """Logits, eight clips at a time as `Recognizer` has it."""
    network = gpsnet.build(config)
    params, state = network.init(jax.random.key(0))
    forward = jax.jit(lambda clips: network.apply(params, state, clips)[0])
    parts = np.split(joints, max(1, len(joints) // 8))
    return lambda: jax.block_until_ready([forward(part) for part in parts])


def grouped(x: jax.Array, filters: jax.Array, *, stride: int = 1) -> jax.Array:
    """`temporal_conv` by XLA's own grouped convolution: the plain form."""
    size, channels = filters.shape
    out = jax.lax.conv_general_dilated(
        x[None], filters[:, None], (stride,), [(size // 2, size // 2)],
        dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=channels,
    )  # fmt: skip
    return out[0]


def torch_peer(
    config: gpsnet.Config, joints: np.ndarray, train: bool
) -> Callable[[], Any] | None:
    """The same with PyTorch, in the same parts; None without it.

    Raises:
        AssertionError: if it and ours differ: a wrong network has no speed.
    """
    try:
        import torch

        from benchmarks.gpsnet_torch import Peer
    except ImportError:
        return None
    config = dataclasses.replace(config, dropout=0.0, channel_dropout=0.0)
    network = gpsnet.build(config)
    params, state = network.init(jax.random.key(0))
    peer = Peer(config, params, state).eval()
    clips = torch.from_numpy(joints)
    with torch.no_grad():
        theirs = peer(clips).numpy()
    mine = np.asarray(network.apply(params, state, jnp.asarray(joints))[0])
    error = np.abs(mine - theirs).max() / np.abs(theirs).max()
    if error > 1e-4:
        raise AssertionError(f"Ours and PyTorch differ by {error:.1e} of the largest.")
    parts = clips.split(max(1, len(joints) // PARTS))
    if not train:
        parts = clips.split(8)

        def ask():
            with torch.no_grad():
                return [peer(part) for part in parts]

        return ask
    peer.train()
    optimizer = torch.optim.AdamW(peer.parameters(), 1e-3, weight_decay=0.05)
    labels = torch.arange(len(joints)) % config.num_classes
    per_part = labels.split(len(parts[0]))

    def turn():
        optimizer.zero_grad(set_to_none=True)
        for part, wanted in zip(parts, per_part, strict=True):
            loss = torch.nn.functional.cross_entropy(
                peer(part), wanted, label_smoothing=0.1
            )
            (loss / len(parts)).backward()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 1.0)
        optimizer.step()

    return turn
