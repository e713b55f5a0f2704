"""The dual token mixer: half the channels attend, half are convolved."""

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.modules.dynamic_conv import DynamicConv
from gpsattn_jax.modules.layers import Dense, DepthwiseConv, normalised_gelu
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.reduced_attention import ReducedAttention
from gpsattn_jax.modules.starts import START


class DualMixer(nnx.Module):
    """Local dynamics beside global attention: [B, H, W, C] -> same.

    TransXNet's D-Mixer (arXiv 2310.19380, section 3.3): the first half of the channels
    goes through `DynamicConv`, the second through `ReducedAttention`; a squeezed token
    enhancer mixes them.

    Args:
        channels: C, even.
        kernel_size: of the dynamic convolution.
        num_groups: likewise.
        num_heads: of the attention.
        reduction: likewise.
        scale: likewise.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if C is odd, or the heads do not divide its half.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 7,
        num_groups: int = 2,
        num_heads: int = 1,
        reduction: int = 1,
        scale: float | None = None,
        rngs: nnx.Rngs,
    ):
        if channels < 1 or channels % 2:
            raise ValueError(f"channels must be even, for two halves; got {channels}.")
        half = channels // 2
        self.local = DynamicConv(
            half, kernel_size=kernel_size, num_groups=num_groups, rngs=rngs
        )
        self.attention = ReducedAttention(
            half, num_heads=num_heads, reduction=reduction, scale=scale, rngs=rngs
        )
        self.enhance = TokenEnhancer(channels, rngs=rngs)

    def __call__(
        self,
        x: chex.Array,
        position: chex.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """`position` [N, H W, S] goes to the attention."""
        first, second = jnp.split(x, 2, axis=-1)
        local = self.local(first, train=train)
        attended = self.attention(second, position, train=train)
        # The barrier: a CPU joins the halves many times slower as part of what follows.
        mixed = jnp.concatenate([local, attended], axis=-1)
        return self.enhance(jax.lax.optimization_barrier(mixed), train=train)


class TokenEnhancer(nnx.Module):
    """A bottleneck with a residual that joins the halves: [B, H, W, C] -> same.

    TransXNet's squeezed token enhancer, STE: depthwise 3x3, 1x1 to an eighth of the
    channels (at least 16) and back, each normalised.
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        hidden = max(16, channels // 8)
        self.conv = DepthwiseConv(channels, 3, rngs=rngs)
        self.conv_norm = BatchNorm(channels, rngs=rngs)
        self.squeeze = Dense(channels, hidden, kernel_init=START, rngs=rngs)
        self.squeeze_norm = BatchNorm(hidden, rngs=rngs)
        self.expand = Dense(hidden, channels, kernel_init=START, rngs=rngs)
        self.expand_norm = BatchNorm(channels, rngs=rngs)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """X + the bottleneck of x."""
        out = normalised_gelu(self.conv(x), self.conv_norm, train)
        out = normalised_gelu(self.squeeze(out), self.squeeze_norm, train)
        return x + self.expand_norm(self.expand(out), train=train)
