"""Axial attention with softmax, as in Axial-DeepLab."""

import functools

import chex
import jax
from flax import nnx

from gpsattn_jax.kernels import position_sensitive_attention
from gpsattn_jax.modules.layers import check_heads
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.starts import LECUN, normal


class AxialAttention(nnx.Module):
    """Position-sensitive attention down the columns, then along the rows.

    [B, H, W, C] -> same, each axis with projections of its own. Axial-DeepLab (arXiv
    2003.07853), section 3.2.

    Args:
        channels: C.
        num_heads: N; divides C.
        window: distances below it count in the tables.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(self, channels: int, num_heads: int, *, window: int, rngs: nnx.Rngs):
        stage = functools.partial(
            LineAttention, channels, num_heads, window=window, rngs=rngs
        )
        self.columns, self.rows = stage(), stage()

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Every place gathers from its column, then from its row."""
        x = self.columns(x.swapaxes(1, 2), train=train).swapaxes(1, 2)
        return self.rows(x, train=train)


class LineAttention(nnx.Module):
    """Position-sensitive attention along axis 2: [B, L, T, C] -> same.

    Args:
        channels: C; queries and keys have half of them, as in the paper.
        num_heads: N; divides C.
        window: distances below it count in the tables.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(self, channels: int, num_heads: int, *, window: int, rngs: nnx.Rngs):
        check_heads("channels", channels, num_heads)
        width = channels // num_heads
        narrow = max(width // 2, 1)
        widths = {"query": narrow, "key": narrow, "value": width}
        project = functools.partial(
            nnx.LinearGeneral, channels, use_bias=False, kernel_init=LECUN, rngs=rngs
        )
        self.query, self.key, self.value = (
            project((num_heads, width)) for width in widths.values()
        )
        self.query_table, self.key_table, self.value_table = (
            nnx.Param(normal(size**-0.5)(rngs.params(), (2 * window - 1, size)))
            for size in widths.values()
        )
        self.norm = BatchNorm(channels, rngs=rngs)
        # Departure: one factor stands for the official code's batch norms of the three
        # kinds of logits, whose statistics would need all lines at once.
        self.scale = narrow**-0.5

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Every place gathers from its line."""
        lines = x.reshape(-1, *x.shape[2:])
        query, key, value = (
            layer(lines) for layer in (self.query, self.key, self.value)
        )
        tables = [
            table[...] for table in (self.query_table, self.key_table, self.value_table)
        ]

        def one_head(query, key, value):
            return position_sensitive_attention(
                query, key, value, *tables, scale=self.scale
            )

        heads = jax.vmap(one_head, in_axes=1, out_axes=1)
        out = jax.vmap(heads)(query, key, value)
        return self.norm(out.reshape(x.shape), train=train)
