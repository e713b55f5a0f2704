"""The systems beside their restatements in PyTorch, in bfloat16 on the same device."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import gsa_module
from benchmarks.accelerator import card, kernels, systems
from benchmarks.accelerator.rows import LeftOut, Row
from benchmarks.depthwise import Case
from gpsattn_jax import convert
from gpsattn_jax.convert.pglsum import to_torch as pglsum_to_torch
from gpsattn_jax.convert.transxnet import to_torch as transxnet_to_torch
from gpsattn_jax.kernels import depthwise_conv
from gpsattn_jax.models import gpsnet, pglsum, transxnet
from gpsattn_jax.training.step import to_precision

CODE = (
    "accelerator/peers.py",
    "accelerator/kernels.py",
    "accelerator/systems.py",
    "gsa_module.py",
    "gpsnet_torch.py",
    "pglsum_torch.py",
    "transxnet_torch.py",
)
# Of the largest value: bfloat16 has eight bits, and torch keeps some arrays in float32.
LIMIT = 0.1


def rows(tiny: bool) -> Iterator[Row]:
    """A row for each system, and for a depthwise convolution."""
    small = (systems.SMALLEST, 2), (systems.SHORTEST, 2, 4), (64, 16), (4, 1)
    large = (
        (transxnet.VARIANTS["tiny"], 128),
        (gpsnet.VARIANTS["base"], 128, 64),
        (1024, 4096),
        (28, 32),
    )
    images, clips, video, maps = small if tiny else large
    case, batch = (Case(8, 4, 3), 2) if tiny else (Case(56, 48), 64)
    for name, measure in (
        ("TransXNet", functools.partial(measure_transxnet, *images)),
        ("GPS-Net", functools.partial(measure_gpsnet, *clips)),
        ("PGL-SUM", functools.partial(measure_pglsum, *video)),
        ("GSA module", functools.partial(measure_gsa, *maps)),
        (
            f"depthwise {kernels.case_name(case, batch)}",
            functools.partial(measure_depthwise, case, batch),
        ),
    ):
        yield Row(f"beside PyTorch: {name}, forward", measure, CODE, 45)


def load_torch() -> tuple[Any, Any]:
    """(torch, the device that JAX uses).

    Raises:
        LeftOut: if there is no torch, or it cannot use the device.
    """
    try:
        import torch
    except ImportError as error:
        raise LeftOut(f"torch cannot be imported: {error}") from error
    if jax.default_backend() == "cpu":
        return torch, torch.device("cpu")
    if not torch.cuda.is_available():
        raise LeftOut(f"torch {torch.__version__} cannot use this card")
    return torch, torch.device("cuda")


def candidate(network: Any, *inputs: Any) -> card.Candidate:
    """A forward pass of a network of PyTorch, as its users run it in bfloat16."""
    torch, device = load_torch()

    def call():
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            return network(*inputs)

    def wait(out):
        if device.type == "cuda":
            torch.cuda.synchronize()
        return out

    return card.Candidate(call, wait)


def beside(
    ours: card.Candidate,
    others: dict[str, card.Candidate],
    as_ours: Callable[[np.ndarray], np.ndarray],
    seconds: float,
) -> dict[str, Any]:
    """Times of ours and theirs, if their outputs are the same.

    Raises:
        AssertionError: if they are not: a wrong network has no speed.
    """
    mine = np.asarray(ours.call(), np.float32)
    for name, other in others.items():
        theirs = as_ours(other.wait(other.call()).float().cpu().numpy())
        error = np.abs(mine - theirs.reshape(mine.shape)).max()
        if not error <= LIMIT * np.abs(theirs).max():
            raise AssertionError(f"Ours and PyTorch ({name}) differ by {error:.1e}.")
    return card.compared(ours, others, seconds)


def our_forward(network: Any, params: Any, state: Any, **inputs: Any) -> card.Candidate:
    """Ours in bfloat16."""
    run, arguments = systems.forward_call(network, params, state, inputs)
    return card.of(run, *arguments)


def measure_transxnet(
    config: transxnet.Config, batch: int, seconds: float
) -> dict[str, Any]:
    """Planes and channels last."""
    torch, device = load_torch()
    from benchmarks.transxnet_torch import Peer

    network = transxnet.build(config)
    params, state = network.init(jax.random.key(0))
    side = config.image_size
    images = normal(batch, side, side, config.in_channels)
    ours = our_forward(network, params, state, images=images)
    arrays = transxnet_to_torch(config, params, state)
    planes = torch.from_numpy(np.moveaxis(images, -1, 1).copy()).to(device)
    others = {}
    for name, memory in (
        ("eager", torch.contiguous_format),
        ("channels_last", torch.channels_last),
    ):
        peer = filled(Peer(config), arrays).to(memory_format=memory)
        others[name] = candidate(peer, planes.contiguous(memory_format=memory))
    return beside(ours, others, lambda out: out, seconds)


def measure_gpsnet(
    config: gpsnet.Config, batch: int, frames: int, seconds: float
) -> dict[str, Any]:
    """Clips of one person."""
    torch, device = load_torch()
    from benchmarks.gpsnet_torch import Peer

    config = dataclasses.replace(config, dropout=0.0, channel_dropout=0.0)
    network = gpsnet.build(config)
    params, state = network.init(jax.random.key(0))
    joints = normal(batch, 1, frames, config.num_joints, config.in_channels)
    peer = Peer(config, params, state).eval().to(device)
    other = candidate(peer, torch.from_numpy(joints).to(device))
    ours = our_forward(network, params, state, joints=joints)
    return beside(ours, {"eager": other}, lambda out: out, seconds)


def measure_pglsum(channels: int, steps: int, seconds: float) -> dict[str, Any]:
    """One video; as shipped each head makes its positions again."""
    torch, device = load_torch()
    from benchmarks.pglsum_torch import Peer

    config = pglsum.Config(input_size=channels)
    network = pglsum.build(config)
    params, state = network.init(jax.random.key(0))
    features = normal(steps, channels)
    features /= np.linalg.norm(features, axis=-1, keepdims=True)
    ours = our_forward(network, params, state, features=features[None])
    arrays = pglsum_to_torch(config, params, state)
    x = torch.from_numpy(features).to(device)
    others = {
        name: candidate(filled(Peer(config, shared=shared), arrays), x)
        for name, shared in (("as shipped", False), ("positions once", True))
    }
    return beside(ours, others, lambda out: out[None], seconds)


def measure_gsa(side: int, batch: int, seconds: float) -> dict[str, Any]:
    """The public module, of the package gsa-pytorch."""
    torch, device = load_torch()
    try:
        from gsa_pytorch import GSA
    except ImportError as error:
        raise LeftOut(f"gsa-pytorch cannot be imported: {error}") from error
    channels, heads = gsa_module.CHANNELS, gsa_module.HEADS
    torch.manual_seed(0)
    peer = GSA(
        dim=channels, dim_key=channels // heads, heads=heads, rel_pos_length=side
    )
    weights = dict(peer.state_dict())
    network, params, state = convert.load("gsa_module", weights, num_heads=heads)
    x = normal(batch, side, side, channels)
    planes = torch.from_numpy(np.moveaxis(x, -1, 1).copy()).to(device)
    other = candidate(peer.eval().to(device), planes)
    params, x = to_precision((params, x), systems.PRECISION)
    ours = card.of(lambda *all_of: network.apply(*all_of)[0], params, state, x)
    return beside(ours, {"eager": other}, last_channels, seconds)


def measure_depthwise(case: Case, batch: int, seconds: float) -> dict[str, Any]:
    """The convolution of cuDNN as PyTorch calls it, in both layouts."""
    torch, device = load_torch()
    x, filters = kernels.depthwise_arrays(case, batch)
    ours = card.of(functools.partial(depthwise_conv, stride=case.stride), x, filters)
    wide = np.asarray(x, np.float32), np.asarray(filters, np.float32)
    image, taps = (torch.from_numpy(array).to(device).bfloat16() for array in wide)
    image, taps = image.permute(0, 3, 1, 2), taps.movedim(-1, 0)[:, None].contiguous()
    convolve = functools.partial(
        torch.nn.functional.conv2d,
        stride=case.stride,
        padding=case.size // 2,
        groups=case.channels,
    )
    others = {
        "planes": candidate(convolve, image.contiguous(), taps),
        "channels_last": candidate(
            convolve, image.contiguous(memory_format=torch.channels_last), taps
        ),
    }
    return beside(ours, others, last_channels, seconds)


def filled(peer: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A restatement with our weights, on the device."""
    torch, device = load_torch()
    peer.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return peer.eval().to(device)


def last_channels(images: np.ndarray) -> np.ndarray:
    """[B, C, H, W] -> [B, H, W, C]."""
    return np.moveaxis(images, 1, -1)


def normal(*shape: int) -> np.ndarray:
    """Standard normal numbers in float32."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
