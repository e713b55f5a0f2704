"""Softmax attention over maps whose heads know offsets: of CoAtNet and of ConViT."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gpsattn_jax.kernels import gated_attention, grid_attention
from gpsattn_jax.modules.attention import MultiHeadAttention
from gpsattn_jax.modules.starts import normal


class GridAttention(MultiHeadAttention):
    """Attention with a learned number for each offset: [B, H, W, C] -> same.

    CoAtNet's relative attention (arXiv 2106.04803, equation 3), with a table for each
    head; also Swin Transformer's within one window.

    Args:
        channels: C.
        num_heads: N; divides C.
        window: offsets below it count in both axes; beyond it nothing is added.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(self, channels: int, num_heads: int, *, window: int, rngs: nnx.Rngs):
        super().__init__(channels, num_heads, kernel=grid_attention, rngs=rngs)
        side = 2 * window - 1
        self.table = nnx.Param(normal(0.02)(rngs.params(), (num_heads, side, side)))

    def _kernel_of_a_head(self, shape):
        return functools.partial(grid_attention, shape=shape), (self.table[...],)


class GatedAttention(MultiHeadAttention):
    """Attention that starts as a convolution: [B, H, W, C] -> same.

    ConViT's gated positional self-attention (arXiv 2103.10697, equations 5 to 7): each
    head looks at one offset at first, and a gate lets it turn to contents.

    Args:
        channels: C.
        num_heads: N; divides C.
        locality: how sharply a head looks at its offset at first.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(
        self, channels: int, num_heads: int, *, locality: float = 1.0, rngs: nnx.Rngs
    ):
        super().__init__(channels, num_heads, kernel=gated_attention, rngs=rngs)
        # Departure: heads beyond the largest square look straight ahead, where the
        # official code leaves their logits to chance. It has a bias here, which a
        # softmax does not see.
        self.position = nnx.Param(locality * first_looks(num_heads))
        self.gate = nnx.Param(jnp.ones(num_heads))
        identity = jnp.eye(channels).reshape(self.value.kernel.shape)
        self.value.kernel = nnx.Param(identity)

    def _kernel_of_a_head(self, shape):
        logits = jnp.matmul(offsets(shape), self.position[...])  # [T, S, N]
        return gated_attention, (logits.transpose(2, 0, 1), self.gate[...])


def first_looks(num_heads: int) -> jax.Array:
    """Which offset each head looks at first, as weights of `offsets`: [3, N].

    The weights v of the offset (right, down, square of the distance) make the logits
    of head n largest at its offset: v . r = -|offset - centre_n|^2 + constant.

    Args:
        num_heads: N; a square number has an offset for each head.
    """
    side = math.isqrt(num_heads)
    middle = (side - 1) / 2 if side % 2 == 0 else side // 2
    weights = np.zeros((3, num_heads), np.float32)
    weights[2] = -1
    for head in range(side * side):
        weights[0, head] = 2 * (head // side - middle)
        weights[1, head] = 2 * (head % side - middle)
    return jnp.asarray(weights)


def offsets(shape: tuple[int, int]) -> chex.Array:
    """Steps from query to key, to the right and down, and their squares' sum.

    Args:
        shape: (H, W) of the map.

    Returns:
        [T, S, 3], float32, T = S = H W.
    """
    down, right = np.indices(shape).reshape(2, -1).astype(np.float32)
    down, right = (axis[None] - axis[:, None] for axis in (down, right))
    return jnp.asarray(np.stack([right, down, right**2 + down**2], axis=-1))
