"""The lambda layer of LambdaNetworks."""

import functools

import chex
import jax
from flax import nnx

from gpsattn_jax.kernels import lambda_attention
from gpsattn_jax.modules.layers import check_heads
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.starts import LECUN, normal


class LambdaLayer(nnx.Module):
    """Linear functions made from the surroundings: [B, H, W, C] -> same.

    LambdaNetworks (arXiv 2102.08602, section 3): heads of queries share keys and
    values; batch norms of queries and values. Nothing is projected at the end.

    Args:
        channels: C.
        num_heads: N; divides C.
        window: offsets below it count in both axes; beyond it places weigh 0.
        key_channels: D of each query and key.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: int,
        key_channels: int = 16,
        rngs: nnx.Rngs,
    ):
        check_heads("channels", channels, num_heads)
        width = channels // num_heads
        project = functools.partial(
            nnx.Linear, channels, use_bias=False, kernel_init=LECUN, rngs=rngs
        )
        self.query = project(num_heads * key_channels)
        self.key = project(key_channels)
        self.value = project(width)
        self.query_norm = BatchNorm(num_heads * key_channels, rngs=rngs)
        self.value_norm = BatchNorm(width, rngs=rngs)
        side = 2 * window - 1
        table = normal(0.02)(rngs.params(), (side, side, key_channels))
        self.table = nnx.Param(table)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Every place applies its function to its queries."""
        query = self.query_norm(self.query(x), train=train)
        value = self.value_norm(self.value(x), train=train)
        query, key, value = (
            array.reshape(len(x), -1, array.shape[-1])
            for array in (query, self.key(x), value)
        )
        query = query.reshape(*query.shape[:2], -1, key.shape[-1])  # [B, T, N, D]
        kernel = functools.partial(lambda_attention, shape=x.shape[1:3])
        heads = jax.vmap(kernel, in_axes=(1, None, None, None), out_axes=1)
        out = jax.vmap(heads, in_axes=(0, 0, 0, None))(
            query, key, value, self.table[...]
        )
        return out.reshape(x.shape)  # channels are heads, then a head's values
