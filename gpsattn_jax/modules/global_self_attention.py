"""The GSA module: a content branch plus an axial positional branch (GSA-Net)."""

import functools
import itertools
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec as P

from gpsattn_jax.kernels import axial_attention, content_attention
from gpsattn_jax.kernels.dtypes import accumulator
from gpsattn_jax.kernels.lanes import (
    axial_attention_of_heads,
    content_attention_of_heads,
)
from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.layers import check_heads
from gpsattn_jax.modules.mesh_axes import (
    DATA,
    HEADS,
    SEQUENCE,
    joined_places,
    sequence_devices,
    spec_of,
)
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.starts import LECUN, normal
from gpsattn_jax.platforms import platform

NORMS = ("channel", "head", "none")

# Scores of a group of heads at inference on a CPU, see `_groups`.
GROUP_BYTES = 3_000_000


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
            one, beside which the content branch is too small to count.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels, no branch is on, `norm` is
            unknown, or a number is below one.
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
        check_least(1, window=window)
        check_heads("key_channels", key_channels, num_heads)
        check_heads("value_channels", value_channels, num_heads)
        if not (content or column or row):
            raise ValueError("At least one of content, column, row must be on.")
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {norm!r}.")

        key_dim, value_dim = key_channels // num_heads, value_channels // num_heads
        project = functools.partial(
            nnx.LinearGeneral, channels, use_bias=False, kernel_init=LECUN, rngs=rngs
        )
        self.query = project((num_heads, key_dim))
        self.key = project((num_heads, key_dim)) if content else None
        self.value = project((num_heads, value_dim))

        def table():
            start = normal(0.02 if balanced else 1.0)
            return nnx.Param(start(rngs.params(), (2 * window - 1, key_dim)))

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
                (num_heads, value_dim),
                out_channels,
                axis=(-2, -1),
                kernel_init=LECUN,
                rngs=rngs,
            )
            if out_channels is not None
            else None
        )
        self.shared_norm = norm == "head"
        self.query_softmax = query_softmax

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """[B, H, W, C] -> [B, H, W, out_channels or value_channels].

        The dtype is that of x and the parameters together; for bfloat16 cast both.
        """
        kernels = [
            None if layer is None else layer.kernel[...]
            for layer in (self.query, self.key, self.value)
        ]
        if platform() == "tpu" and sequence_devices() == 1:
            out = self._in_lanes(x, kernels, train=train)
            if self.out is None:
                return out
            return self.out(out.reshape(*x.shape[:3], *self.value.kernel.shape[1:]))
        groups = 1 if train else self._groups(x)
        if groups == 1:
            out = self._heads(x, kernels, lambda y: self._affine(y, train=train))
        else:
            out = self._heads_in_groups(x, kernels, groups)
        out = out.transpose(0, 2, 3, 1, 4)  # [B, H, W, N, E]
        return out.reshape(*x.shape[:3], -1) if self.out is None else self.out(out)

    def _heads(self, x, kernels, affine):
        """All branches of some heads: [B, H, W, C] -> [B, N, H, W, E].

        Args:
            x: [B, H, W, C].
            kernels: of queries, keys (None without content) and values, [C, N, D or E].
            affine: y [B, N, W, H, E] -> the norm between the stages, see `_affine`.
        """
        query, key, value = _project(x, kernels)
        out: Any = 0
        if key is not None:
            out += self._content(query, key, value)
        if self.column_table is not None or self.row_table is not None:
            out += self._position(query, value, affine)
        return out

    def _in_lanes(self, x, kernels, *, train):
        """All branches and heads as a TPU wants them: [B, H, W, C] -> [B, H, W, N E].

        The same numbers as of `_heads`, see `kernels.lanes`.
        """
        num_heads = kernels[0].shape[1]
        query, key, value = _project_flat(x, kernels)
        out: Any = 0
        if key is not None:
            looking = self._softmax_of_heads(query, num_heads)
            pixels = (a.reshape(len(a), -1, a.shape[-1]) for a in (looking, key, value))
            attend = functools.partial(content_attention_of_heads, num_heads=num_heads)
            out += jax.vmap(attend)(*pixels).reshape(value.shape)
        if self.column_table is not None:
            columns = query.swapaxes(1, 2), value.swapaxes(1, 2)  # [B, W, H, …]
            value = _lines_in_lanes(*columns, self.column_table[...], num_heads)
            if self.norm is not None:
                parted = value.reshape(*value.shape[:3], num_heads, -1)
                seen = parted if self.shared_norm else value
                multiplier, offset = (
                    jnp.tile(vector, num_heads) if self.shared_norm else vector
                    for vector in self.norm.affine(seen, train=train)
                )
                multiplier, offset = (v[None, None, None] for v in (multiplier, offset))
                value = (value * multiplier + offset).astype(value.dtype)
            value = value.swapaxes(1, 2)
        if self.row_table is not None:
            value = _lines_in_lanes(query, value, self.row_table[...], num_heads)
        positional = self.column_table is not None or self.row_table is not None
        return out + value if positional else out

    def _softmax_of_heads(self, query, num_heads):
        if not self.query_softmax:
            return query
        wide = query.astype(accumulator(query))
        parted = wide.reshape(*query.shape[:3], num_heads, -1)
        return jax.nn.softmax(parted, axis=-1).reshape(query.shape).astype(query.dtype)

    def _heads_in_groups(self, x, kernels, groups):
        """`_heads` with running statistics, one group of heads after the other.

        Only one group's queries, keys, values and scores exist at a time: on a CPU,
        where fresh memory costs a page fault for each 4 KiB, the time halves.
        """

        def grouped(array):  # [N, …] -> [groups, N / groups, …]
            return array.reshape(groups, -1, *array.shape[1:])

        def heads_first(kernels):  # [C, N, D] <-> [N, C, D]; None stays None
            return jax.tree.map(lambda kernel: kernel.swapaxes(0, 1), kernels)

        def heads(group):
            kernels, norm = group
            return self._heads(x, heads_first(kernels), lambda _: norm)

        parts = heads_first(kernels), self._affine(None, train=False)
        # [groups, B, N / groups, H, W, E]
        out = jax.lax.map(heads, jax.tree.map(grouped, parts))
        return out.swapaxes(0, 1).reshape(x.shape[0], -1, *out.shape[3:])

    def _groups(self, x):
        """Into how many groups of heads inference is split, for memory's sake.

        Measured on two CPU cores: such groups stay in the cache, and all temporary
        memory below the 32 MiB from which on glibc gives pages back after each call, to
        be faulted in at the next. An accelerator has no use for it.
        """
        positional = self.column_table is not None or self.row_table is not None
        if not positional or platform() != "cpu":
            return 1
        batch, height, width, _ = x.shape
        num_heads = self.query.kernel.shape[1]
        scores = batch * num_heads * height * width * max(height, width) * 4
        divisors = (g for g in range(1, num_heads) if num_heads % g == 0)
        return next((g for g in divisors if scores <= g * GROUP_BYTES), num_heads)

    def _content(self, query, key, value):
        """[B, N, H, W, D] x2, [B, N, H, W, E] -> [B, N, H, W, E]."""
        if self.query_softmax:
            wide = query.astype(accumulator(query))
            query = jax.nn.softmax(wide, axis=-1).astype(query.dtype)
        pixels = (a.reshape(*a.shape[:2], -1, a.shape[-1]) for a in (query, key, value))
        return jax.vmap(jax.vmap(content_attention))(*pixels).reshape(value.shape)

    def _position(self, query, value, affine):
        """[B, N, H, W, D], [B, N, H, W, E] -> [B, N, H, W, E]."""
        if self.column_table is not None:
            columns = query.swapaxes(2, 3), value.swapaxes(2, 3)  # [B, N, W, H, …]
            value = _along_lines(*columns, self.column_table[...])
            if self.norm is not None:
                multiplier, offset = affine(value)
                value = (value * multiplier[None] + offset[None]).astype(value.dtype)
            value = value.swapaxes(2, 3)
        if self.row_table is not None:
            value = _along_lines(query, value, self.row_table[...])
        return value

    def _affine(self, y, *, train):
        """The norm of y [B, N, W, H, E] as (multiplier, offset), both [N, 1, 1, E]."""
        if self.norm is None:
            return None
        if train and not self.shared_norm:
            y = y.transpose(0, 2, 3, 1, 4).reshape(
                *y.shape[:1], -1, y.shape[1] * y.shape[-1]
            )
        vectors = self.norm.affine(y, train=train)
        num_heads = self.query.kernel.shape[1]
        value_dim = self.value.kernel.shape[2]
        return tuple(
            jnp.broadcast_to(
                v.reshape(-1, 1, 1, value_dim), (num_heads, 1, 1, value_dim)
            )
            for v in vectors
        )


def _project(x, kernels):
    """[B, H, W, C] by kernels [C, N, D] (or None) -> arrays [B, N, H, W, D]."""
    return [
        None
        if flat is None
        else flat.reshape(*x.shape[:3], *kernel.shape[1:]).transpose(0, 3, 1, 2, 4)
        for flat, kernel in zip(_project_flat(x, kernels), kernels, strict=True)
    ]


def _project_flat(x, kernels):
    """[B, H, W, C] by kernels [C, N, D] (or None) -> arrays [B, H, W, N D].

    One matmul for all three; split, so that the gradient is one concatenation.
    """
    present = [kernel for kernel in kernels if kernel is not None]
    flat = jnp.concatenate([k.reshape(k.shape[0], -1) for k in present], axis=1)
    ends = list(itertools.accumulate(k.shape[1] * k.shape[2] for k in present))
    out = jnp.matmul(joined_places(x), flat)
    parts = iter(jnp.split(out, ends[:-1], axis=-1))
    return [
        None if kernel is None else next(parts).reshape(*x.shape[:3], -1)
        for kernel in kernels
    ]


def _lines_in_lanes(query, value, table, num_heads):
    """`axial_attention_of_heads` along axis 2: [B, L, T, N D], [B, L, T, N E]."""
    lines, values = (array.reshape(-1, *array.shape[2:]) for array in (query, value))
    out = axial_attention_of_heads(lines, values, table, num_heads)
    return out.reshape(value.shape)


def _along_lines(query, value, table):
    """`axial_attention` along axis 3: [B, N, L, T, D], [B, N, L, T, E] -> same.

    Lines do not see each other: where devices share the rows of an image, each works
    off its share of the lines. What comes in by rows goes to columns and back by an
    all-to-all that the compiler adds.
    """
    devices = sequence_devices()
    if devices == 1:
        return _lines_of_one_device(query, value, table)
    lines = value.shape[2]
    filling = ((0, 0), (0, 0), (0, -lines % devices), (0, 0), (0, 0))
    query, value = (jnp.pad(array, filling) for array in (query, value))
    split = spec_of(value.shape, DATA, HEADS, SEQUENCE)
    along = jax.shard_map(
        _lines_of_one_device, in_specs=(split, split, P()), out_specs=split
    )
    return along(query, value, table)[:, :, :lines]


def _lines_of_one_device(query, value, table):
    lines, values = (array.reshape(-1, *array.shape[3:]) for array in (query, value))
    return axial_attention(lines, values, table).reshape(value.shape)
