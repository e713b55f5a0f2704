"""A feed-forward net that also looks around each pixel, at several scales."""

import functools
import operator

import chex
from flax import nnx

from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.layers import Dense, DepthwiseConv, normalised_gelu
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.starts import START

KERNEL_SIZES = (1, 3, 5, 7)


class MultiScaleFeedForward(nnx.Module):
    """1x1, depthwise convolutions of four sizes, 1x1: [B, H, W, C] -> same.

    TransXNet's MS-FFN (arXiv 2310.19380, section 3.4). The hidden channels are four
    branches, the first with the remainder, for kernels of 1, 3, 5 and 7. The official
    code has them side by side in one array; on a CPU splitting and joining it would
    take a third of the time.

    Args:
        channels: C.
        hidden: width between the 1x1 layers.
        dropout: rate after the convolutions and at the end.
        rngs: random streams for the initial values.
    """

    def __init__(
        self, channels: int, hidden: int, *, dropout: float = 0.0, rngs: nnx.Rngs
    ):
        check_least(len(KERNEL_SIZES), hidden=hidden)
        self.branches = nnx.List(
            Branch(channels, width, size, dropout=dropout, rngs=rngs)
            for width, size in zip(branch_widths(hidden), KERNEL_SIZES, strict=True)
        )
        self.norm = BatchNorm(channels, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Needs `rngs` in training if there is dropout."""
        parts = (branch(x, train=train, rngs=rngs) for branch in self.branches)
        out = self.norm(functools.reduce(operator.add, parts), train=train)
        return self.dropout(out, deterministic=not train, rngs=rngs)


class Branch(nnx.Module):
    """One scale: 1x1, a depthwise convolution with a residual, 1x1, norms between.

    Args:
        channels: C.
        hidden: width between the 1x1 layers.
        size: K of the depthwise convolution.
        dropout: rate after the convolution.
        rngs: random streams for the initial values.
    """

    def __init__(
        self, channels: int, hidden: int, size: int, *, dropout: float, rngs: nnx.Rngs
    ):
        self.expand = Dense(
            channels, hidden, use_bias=False, kernel_init=START, rngs=rngs
        )
        self.expand_norm = BatchNorm(hidden, rngs=rngs)
        self.conv = DepthwiseConv(hidden, size, rngs=rngs)
        self.conv_norm = BatchNorm(hidden, rngs=rngs)
        self.project = Dense(
            hidden, channels, use_bias=False, kernel_init=START, rngs=rngs
        )
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """[B, H, W, C] -> its share of the sum, [B, H, W, C]."""
        x = normalised_gelu(self.expand(x), self.expand_norm, train)
        x = normalised_gelu(self.conv(x) + x, self.conv_norm, train)
        return self.project(self.dropout(x, deterministic=not train, rngs=rngs))


def branch_widths(hidden: int) -> tuple[int, ...]:
    """Hidden channels of each branch."""
    share, rest = divmod(hidden, len(KERNEL_SIZES))
    return (share + rest, *(share,) * (len(KERNEL_SIZES) - 1))
