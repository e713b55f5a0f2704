"""A feed-forward net that also looks around each pixel, at several scales."""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.kernels import gelu
from gpsattn_jax.modules.layers import START, DepthwiseConv
from gpsattn_jax.modules.norms import BatchNorm

KERNEL_SIZES = (1, 3, 5, 7)


class MultiScaleFeedForward(nnx.Module):
    """1x1, depthwise convolutions of four sizes, 1x1: [B, H, W, C] -> same.

    TransXNet's MS-FFN (arXiv 2310.19380, section 3.4). The hidden channels are split
    in four, the first part with the remainder, for kernels of 1, 3, 5 and 7.

    Args:
        channels: C.
        hidden: width between the 1x1 layers.
        dropout: rate after the convolutions and at the end.
        rngs: random streams for the initial values.
    """

    def __init__(
        self, channels: int, hidden: int, *, dropout: float = 0.0, rngs: nnx.Rngs
    ):
        share = hidden // len(KERNEL_SIZES)
        widths = [hidden - share * (len(KERNEL_SIZES) - 1)]
        widths += [share] * (len(KERNEL_SIZES) - 1)
        self.ends = tuple(itertools.accumulate(widths[:-1]))
        self.expand = nnx.Linear(
            channels, hidden, use_bias=False, kernel_init=START, rngs=rngs
        )
        self.expand_norm = BatchNorm(hidden, rngs=rngs)
        self.scales = nnx.List(
            DepthwiseConv(width, size, rngs=rngs)
            for width, size in zip(widths, KERNEL_SIZES, strict=True)
        )
        self.norm = BatchNorm(hidden, rngs=rngs)
        self.project = nnx.Linear(
            hidden, channels, use_bias=False, kernel_init=START, rngs=rngs
        )
        self.project_norm = BatchNorm(channels, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """Needs `rngs` in training if there is dropout."""
        x = self.expand_norm(gelu(self.expand(x)), train=train)
        parts = jnp.split(x, self.ends, axis=-1)
        parts = [conv(part) for conv, part in zip(self.scales, parts, strict=True)]
        x = self.norm(gelu(jnp.concatenate(parts, axis=-1) + x), train=train)
        x = self.dropout(x, deterministic=not train, rngs=rngs)
        x = self.project_norm(self.project(x), train=train)
        return self.dropout(x, deterministic=not train, rngs=rngs)
