"""Input-dependent depthwise convolution: a kernel of its own for each example."""

import chex
import jax
from flax import nnx

from gpsattn_jax.kernels import (
    adaptive_average_pool,
    depthwise_conv,
    gelu,
    mix_kernels,
)
from gpsattn_jax.kernels.row_sums import along_rows
from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.layers import Dense
from gpsattn_jax.modules.norms import BatchNorm, along_channels
from gpsattn_jax.modules.starts import START


class DynamicConv(nnx.Module):
    """Each example mixes its depthwise kernel out of G groups: [B, H, W, C] -> same.

    The map, pooled to K x K, decides at each place of the window and for each channel;
    its global mean decides likewise about the bias. TransXNet's IDConv (arXiv
    2310.19380, section 3.2).

    A departure: in training a batch of one takes the norm's statistics from the pooled
    map for both, since one global mean has no variance (the official code fails
    there).

    Args:
        channels: C.
        kernel_size: K.
        num_groups: G.
        reduction: the gates' hidden width is C divided by it.
        use_bias: whether there is a bias to mix.
        rngs: random streams for the initial values.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 7,
        num_groups: int = 2,
        reduction: int = 4,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ):
        check_least(
            1, channels=channels, kernel_size=kernel_size, num_groups=num_groups,
            reduction=reduction, hidden=channels // max(reduction, 1),
        )  # fmt: skip
        kernels = (kernel_size, kernel_size, num_groups, channels)
        self.kernels = nnx.Param(START(rngs.params(), kernels))
        self.bias = nnx.Param(START(rngs.params(), kernels[2:])) if use_bias else None
        hidden = channels // reduction
        self.reduce = Dense(
            channels, hidden, use_bias=False, kernel_init=START, rngs=rngs
        )
        self.norm = BatchNorm(hidden, rngs=rngs)
        self.gate = Dense(hidden, num_groups * channels, kernel_init=START, rngs=rngs)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Convolves each example with its own kernel, padded by K // 2."""
        kernels, bias = self.kernels_of(x, train=train)
        out = depthwise_conv(x, kernels)
        if bias is None:
            return out
        flat = out.reshape(len(x), -1, x.shape[-1])
        return (flat + along_rows(bias[:, 0, 0], flat.shape[1])).reshape(out.shape)

    def kernels_of(
        self, x: chex.Array, *, train: bool = False
    ) -> tuple[chex.Array, chex.Array | None]:
        """[B, H, W, C] -> (kernels [B, K, K, C], bias [B, 1, 1, C] or None)."""
        size = self.kernels.shape[0]
        pooled = jax.vmap(adaptive_average_pool, in_axes=(0, None))(x, size)
        mix = jax.vmap(mix_kernels, in_axes=(0, None))
        hidden = self.reduce(pooled)
        affine = self.norm.affine(hidden, train=train)
        kernels = mix(self._logits(hidden, affine), self.kernels[...])
        if self.bias is None:
            return kernels, None
        hidden = self.reduce(x.mean((1, 2), keepdims=True))
        if not (train and x.shape[0] == 1):
            affine = self.norm.affine(hidden, train=train)
        bias = mix(self._logits(hidden, affine), self.bias[None, None])
        return kernels, bias

    def _logits(self, hidden, affine):
        """[B, K, K, C / reduction] -> the gates' logits [B, K, K, G, C]."""
        multiplier, offset = (along_channels(v, hidden.ndim) for v in affine)
        active = gelu((hidden * multiplier + offset).astype(hidden.dtype))
        return self.gate(active).reshape(*hidden.shape[:3], *self.kernels.shape[2:])
