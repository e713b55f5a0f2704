"""The GSA module: a content branch plus an axial positional branch (GSA-Net)."""

import functools
from typing import Any

import jax
from flax import nnx

from gpsattn_jax.kernels import (
    content_attention,
    content_weights,
    relative_attention,
    relative_weights,
)
from gpsattn_jax.modules.layers import BatchNorm

NORMS = ("channel", "head", "none")


class GlobalSelfAttention(nnx.Module):
    """Global self-attention over an image: [B, H, W, C] -> [B, H, W, out].

    content + row(norm(column(value))) from the same queries, keys and values; the
    memory never holds an [H W, H W] matrix. "Global Self-Attention Networks for Image
    Recognition" (arXiv 2010.03019), figure 1. The defaults are the paper's form; the
    public PyTorch module (lucidrains/global-self-attention-network) is
    `norm="head", out_channels=…` and `key_channels = value_channels`.

    Args:
        channels: C of the input.
        key_channels: channels of queries and keys, over all heads; `channels` if None.
        value_channels: likewise of the values; `channels` if None.
        num_heads: N; divides both.
        window: distances below it count: each table has 2 window - 1 rows. At least
            the longer side of the image for global attention; a shorter one is a local
            window, outside which position weighs 0.
        content: use the content branch.
        column: use the column stage (attention along H, within a column).
        row: use the row stage (attention along W, on the column stage's output).
        query_softmax: softmax over each query's channels, for the content branch.
        norm: batch norm after the column stage, over each channel of each head
            ("channel", the paper), over each channel with all heads sharing statistics
            and scale ("head", the public module), or "none".
        out_channels: width of a final projection with bias; None for no projection.
        balanced: start the positional branch small: tables N(0, 0.02) and the norm's
            scale at zero. Otherwise as the public module starts: tables N(0, 1), scale
            one, which makes the positional branch 70 to 300 times the content branch.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels, no branch is on, or `norm`
            is unknown.
    """

    def __init__(
        self,
        channels: int,
        key_channels: int | None = None,
        value_channels: int | None = None,
        *,
        num_heads: int = 8,
        window: int,
        content: bool = True,
        column: bool = True,
        row: bool = True,
        query_softmax: bool = False,
        norm: str = "channel",
        out_channels: int | None = None,
        balanced: bool = True,
        rngs: nnx.Rngs,
    ):
        key_channels = channels if key_channels is None else key_channels
        value_channels = channels if value_channels is None else value_channels
        for name, width in (("key", key_channels), ("value", value_channels)):
            if width % num_heads:
                raise ValueError(
                    f"{name}_channels must be a multiple of num_heads={num_heads}; "
                    f"got {width}."
                )
        if not (content or column or row):
            raise ValueError("At least one of content, column, row must be on.")
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {norm!r}.")

        key_dim, value_dim = key_channels // num_heads, value_channels // num_heads
        project = functools.partial(
            nnx.LinearGeneral, channels, use_bias=False, rngs=rngs
        )
        self.query = project((num_heads, key_dim))
        self.key = project((num_heads, key_dim)) if content else None
        self.value = project((num_heads, value_dim))

        def table():
            shape = (2 * window - 1, key_dim)
            return nnx.Param(
                (0.02 if balanced else 1.0) * jax.random.normal(rngs.params(), shape)
            )

        self.column_table = table() if column else None
        self.row_table = table() if row else None
        self.norm = (
            BatchNorm(
                value_dim if norm == "head" else value_channels,
                scale=0.0 if balanced else 1.0,
                rngs=rngs,
            )
            if column and norm != "none"
            else None
        )
        self.out = (
            nnx.LinearGeneral(
                (num_heads, value_dim), out_channels, axis=(-2, -1), rngs=rngs
            )
            if out_channels is not None
            else None
        )
        self.shared_norm = norm == "head"
        self.query_softmax = query_softmax

    def __call__(
        self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """[B, H, W, C] -> [B, H, W, out_channels or value_channels]."""
        query, value = self.query(x), self.value(x)
        out: Any = 0
        if self.key is not None:
            out += self._content(query, self.key(x), value)
        if self.column_table is not None or self.row_table is not None:
            out += self._position(query, value, train=train)
        return out.reshape(*x.shape[:3], -1) if self.out is None else self.out(out)

    def maps(self, x: jax.Array, row: int, column: int) -> dict[str, jax.Array]:
        """What one pixel attends to, for pictures; costs O(H W D), not O((H W)^2).

        Args:
            x: [B, H, W, C], as the module is called with.
            row: the pixel's row.
            column: the pixel's column.

        Returns:
            "content" [B, N, H, W], "column" [B, N, H] (the weights of the pixel's own
            column), "row" [B, N, W] and "position" [B, N, H, W], what row and column
            stage together give a value before the norm between them; branches that are
            off are left out. All weights are signed.
        """
        query = self.query(x)
        pixel = query[:, row, column]  # [B, N, D]
        found = {}
        if self.key is not None:
            key = self.key(x).reshape(x.shape[0], -1, *pixel.shape[1:])
            own = jax.nn.softmax(pixel, axis=-1) if self.query_softmax else pixel
            per_head = jax.vmap(content_weights, in_axes=(1, 1), out_axes=1)
            weights = jax.vmap(per_head)(own[:, None], key)  # [B, 1, N, H W]
            found["content"] = weights[:, 0].reshape(*pixel.shape[:2], *x.shape[1:3])
        if self.row_table is not None:
            # The pixel's weights are one row of its line's [W, W] weights.
            found["row"] = _line(query[:, row], self.row_table[...], column)
        if self.column_table is not None:
            lines = jax.vmap(_line, in_axes=(2, None, None), out_axes=-1)
            columns = lines(query, self.column_table[...], row)  # [B, N, H, W]
            found["column"] = columns[..., column]
            if "row" in found:
                found["position"] = columns * found["row"][:, :, None]
        return found

    def _content(self, query, key, value):
        """[B, H, W, N, D] x2, [B, H, W, N, E] -> [B, H, W, N, E]."""
        if self.query_softmax:
            query = jax.nn.softmax(query, axis=-1)
        pixels = [
            array.reshape(array.shape[0], -1, *array.shape[3:])
            for array in (query, key, value)
        ]
        per_head = jax.vmap(content_attention, in_axes=1, out_axes=1)
        return jax.vmap(per_head)(*pixels).reshape(value.shape)

    def _position(self, query, value, *, train):
        """[B, H, W, N, D], [B, H, W, N, E] -> [B, H, W, N, E]."""
        per_head = jax.vmap(relative_attention, in_axes=(1, 1, None), out_axes=1)
        along_rows = jax.vmap(
            jax.vmap(per_head, in_axes=(0, 0, None)), in_axes=(0, 0, None)
        )
        down_columns = jax.vmap(
            jax.vmap(per_head, in_axes=(1, 1, None), out_axes=1), in_axes=(0, 0, None)
        )
        if self.column_table is not None:
            value = down_columns(query, value, self.column_table[...])
        if self.norm is not None:
            shape = value.shape
            flat = value if self.shared_norm else value.reshape(*shape[:3], -1)
            value = self.norm(flat, train=train).reshape(shape)
        if self.row_table is not None:
            value = along_rows(query, value, self.row_table[...])
        return value


def _line(query, table, place):
    """Relative weights of one place of a line: [B, T, N, D], [R, D] -> [B, N, T]."""
    per_head = jax.vmap(relative_weights, in_axes=(1, None))
    return jax.vmap(per_head, in_axes=(0, None))(query, table)[:, :, place]
