"""Depthwise convolution against XLA's grouped convolution and PyTorch's."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import interleaved
from gpsattn_jax.kernels import depthwise_conv

BATCH = 8
HEAD = (
    "shape",
    "K",
    "stride",
    "filters",
    "pass",
    "ours ms",
    "lax ms",
    "PyTorch ms",
    "channels_last ms",
    "lax / ours",
    "PyTorch / ours",
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A convolution of TransXNet tiny at 224 px.

    Attributes:
        side: pixels of a side.
        channels: C.
        size: K.
        stride: of rows and columns.
        each: a set of filters for each example.
    """

    side: int
    channels: int
    size: int = 7
    stride: int = 1
    each: bool = False

    def arrays(self):
        """The map and its filters."""
        shared = (self.size, self.size, self.channels)
        shape = (BATCH, *shared) if self.each else shared
        draw = np.random.default_rng(0)
        x = draw.normal(size=(BATCH, self.side, self.side, self.channels))
        return x.astype(np.float32), draw.normal(size=shape).astype(np.float32)


STAGES = {56: 48, 28: 96, 14: 224, 7: 448}  # pixels of a side: channels
CASES = (
    *(Case(side, channels) for side, channels in STAGES.items()),
    *(Case(side, channels // 2, each=True) for side, channels in STAGES.items()),
    *(Case(side, channels, 5) for side, channels in STAGES.items()),
    *(Case(side, channels, 3) for side, channels in STAGES.items()),
    Case(56, 24, 11, 8),
    Case(28, 48, 7, 4),
    Case(14, 112, 5, 2),
)


def rows(seconds: float):
    """A row for each convolution and pass: the cells of HEAD."""
    for case in CASES:
        for train in (False, True):
            yield row(case, train, seconds)


def row(case: Case, train: bool, seconds: float) -> tuple[str, ...]:
    """One row: the same arrays for all candidates."""
    convolutions = {
        "ours": functools.partial(depthwise_conv, stride=case.stride),
        "lax": functools.partial(grouped_conv, stride=case.stride),
    }
    x, filters = map(jnp.asarray, case.arrays())
    candidates = {}
    for name, convolve in convolutions.items():
        passes = functools.partial(forward_and_backward if train else forward, convolve)
        candidates[name] = functools.partial(run, jax.jit(passes), x, filters)
    candidates |= torch_candidates(case, train)
    check({name: candidate() for name, candidate in candidates.items()}, case)
    times = interleaved(candidates, seconds=seconds, least=5)

    def milliseconds(name):
        return f"{times[name]:.2f}" if name in times else "-"

    def ratio(name):
        return f"{times[name] / times['ours']:.2f}" if name in times else "-"

    return (
        f"{BATCH} x {case.side} x {case.side} x {case.channels}",
        str(case.size),
        str(case.stride),
        "per example" if case.each else "shared",
        "forward+backward" if train else "forward",
        *map(milliseconds, ("ours", "lax", "torch", "channels_last")),
        *map(ratio, ("lax", "torch")),
    )


def run(function, *arrays):
    """Calls and waits."""
    return jax.block_until_ready(function(*arrays))


def forward(convolve, x, filters):
    """The convolution alone."""
    return (convolve(x, filters),)


def forward_and_backward(convolve, x, filters):
    """Output, and the gradients of half its sum of squares."""
    out, pull = jax.vjp(convolve, x, filters)
    return out, *pull(out)


def grouped_conv(x, filters, *, stride):
    """XLA's own; filters for each example make examples groups of one wide image."""
    batch, size = x.shape[0], filters.shape[-2]
    each = filters.ndim == 4
    if each:
        x = x.transpose(1, 2, 0, 3).reshape(1, *x.shape[1:3], -1)
        filters = filters.transpose(1, 2, 0, 3).reshape(size, size, -1)
    out = jax.lax.conv_general_dilated(
        x,
        filters[:, :, None],
        (stride, stride),
        [(size // 2, size // 2)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )
    if each:
        out = out.reshape(*out.shape[1:3], batch, -1).transpose(2, 0, 1, 3)
    return out


def torch_candidates(case, train):
    """PyTorch's turns in both memory formats, each fed in its own; none without it."""
    try:
        import torch
    except ImportError:
        return {}
    x, filters = map(torch.from_numpy, case.arrays())
    image = x.permute(0, 3, 1, 2).contiguous()
    kernels = filters.movedim(-1, -3)
    if case.each:
        image = image.reshape(1, -1, case.side, case.side)
    kernels = kernels.reshape(-1, 1, case.size, case.size).contiguous()
    formats = {"torch": torch.contiguous_format, "channels_last": torch.channels_last}
    return {
        name: functools.partial(
            run_torch, image.contiguous(memory_format=memory), kernels, case, train
        )
        for name, memory in formats.items()
    }


def run_torch(image, kernels, case, train):
    """The same with PyTorch."""
    import torch

    image, kernels = (a.detach().requires_grad_(train) for a in (image, kernels))
    out = torch.nn.functional.conv2d(
        image,
        kernels,
        stride=case.stride,
        padding=case.size // 2,
        groups=len(kernels),
    )
    if not train:
        return (out,)
    return out.detach(), *torch.autograd.grad(out, (image, kernels), out.detach())


def check(results, case):
    """Raises if the candidates differ: a wrong kernel has no speed."""
    for name, theirs in results.items():
        if name in ("torch", "channels_last"):
            theirs = [as_ours(array, case) for array in theirs]
        for mine, other in zip(results["ours"], theirs, strict=True):
            error = np.abs(np.asarray(mine) - np.asarray(other)).max()
            if error > 1e-4 * np.abs(mine).max():
                raise AssertionError(f"Ours and {name} differ by up to {error:.1e}.")


def as_ours(array, case):
    """A map or filters of PyTorch in our layout."""
    array = array.numpy()
    is_filters = array.shape[1] == 1
    batch = BATCH if case.each or not is_filters else 1
    array = array.reshape(batch, case.channels, *array.shape[2:])
    array = array.transpose(0, 2, 3, 1)
    return array if case.each or not is_filters else array[0]
