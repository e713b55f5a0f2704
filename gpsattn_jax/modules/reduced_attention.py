"""Attention of every pixel to a spatially reduced map."""

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.kernels import attend, attention_weights, gelu
from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.layers import Dense, DepthwiseConv, check_heads
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.starts import START


class ReducedAttention(nnx.Module):
    """Queries at every pixel, keys and values on a coarser map: [B, H, W, C] -> same.

    TransXNet's overlapping spatial reduction attention, OSRA (arXiv 2310.19380,
    section 3.1): the reduction's windows overlap, and the reduced map is refined by a
    3x3 depthwise convolution. No output projection.

    Args:
        channels: C.
        num_heads: N, contiguous groups of channels.
        reduction: r; the reduced map has ceil(H / r) x ceil(W / r) pixels.
        scale: factor on the logits; 1 / sqrt(C / N) if None.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        reduction: int = 1,
        scale: float | None = None,
        rngs: nnx.Rngs,
    ):
        check_heads("channels", channels, num_heads)
        self.query = Dense(channels, channels, kernel_init=START, rngs=rngs)
        self.key_value = Dense(channels, 2 * channels, kernel_init=START, rngs=rngs)
        self.reduce = SpatialReduction(channels, reduction, rngs=rngs)
        self.refine = DepthwiseConv(channels, 3, rngs=rngs)
        self.num_heads = num_heads
        self.scale = scale

    def __call__(
        self,
        x: chex.Array,
        position: chex.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Softmax attention; `position` [N, H W, S] is added to the logits."""

        def one_head(query, key, value, bias):
            return attend(query, key, value, bias, scale=self.scale)

        query, key, value = self._projections(x, train)
        bias_axis = None if position is None else 0
        heads = jax.vmap(one_head, in_axes=(1, 1, 1, bias_axis), out_axes=1)
        out = jax.vmap(heads, in_axes=(0, 0, 0, None))(query, key, value, position)
        return out.reshape(x.shape)

    def weights(self, x: chex.Array, position: chex.Array | None = None) -> chex.Array:
        """The attention weights [B, N, H W, S] of evaluation, for pictures."""

        def one_head(query, key, bias):
            return attention_weights(query, key, bias, scale=self.scale)

        query, key, _ = self._projections(x, train=False)
        bias_axis = None if position is None else 0
        heads = jax.vmap(one_head, in_axes=(1, 1, bias_axis))
        return jax.vmap(heads, in_axes=(0, 0, None))(query, key, position)

    def _projections(self, x, train):
        """[B, H, W, C] -> query [B, H W, N, D], key and value [B, S, N, D]."""
        reduced = self.reduce(x, train=train)
        reduced = reduced + self.refine(reduced)
        key, value = jnp.split(self.key_value(reduced), 2, axis=-1)
        dim = x.shape[-1] // self.num_heads
        return tuple(
            array.reshape(x.shape[0], -1, self.num_heads, dim)
            for array in (self.query(x), key, value)
        )


class SpatialReduction(nnx.Module):
    """Overlapping depthwise reduction by r: [B, H, W, C] -> [B, H / r, W / r, C].

    A convolution of r + 3 with stride r, then a 1x1 one, each normalised; nothing for
    r = 1. Sizes are rounded up.
    """

    def __init__(self, channels: int, reduction: int, *, rngs: nnx.Rngs):
        check_least(1, reduction=reduction)
        self.reduction = reduction
        if reduction == 1:
            return
        self.conv = DepthwiseConv(
            channels, reduction + 3, stride=reduction, use_bias=False, rngs=rngs
        )
        self.conv_norm = BatchNorm(channels, rngs=rngs)
        self.scale = DepthwiseConv(channels, 1, use_bias=False, rngs=rngs)
        self.scale_norm = BatchNorm(channels, rngs=rngs)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """The reduced map."""
        if self.reduction == 1:
            return x
        x = gelu(self.conv_norm(self.conv(x), train=train))
        return self.scale_norm(self.scale(x), train=train)
