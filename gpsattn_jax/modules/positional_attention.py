"""Attention whose positions enter the logits: over all steps, and within segments."""

import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.kernels import (
    POSITION_BIASES,
    attend_blocked,
    attention_weights,
    join_segments,
    split_segments,
)
from gpsattn_jax.kernels.blocked_passes import even_block
from gpsattn_jax.kernels.segments import segment_lengths
from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.head_products import from_heads, to_heads
from gpsattn_jax.modules.layers import check_heads
from gpsattn_jax.modules.mesh_axes import sequence_devices
from gpsattn_jax.modules.split_segments import attend_segments
from gpsattn_jax.modules.split_sequences import Positions, attend_whole
from gpsattn_jax.modules.weight_dropout import dropout_factors

# From this many steps on, attention is worked off in blocks: it needs less memory, and
# on a processor no more time (benchmarks/RESULTS.md).
LONG = 256
BLOCK = 320

Start = Callable[[chex.Array, tuple[int, int]], chex.Array]


class PositionalAttention(nnx.Module):
    """Heads of attention with a positional bias: [B, T, C], [B] -> [B, T, C].

    PGL-SUM's self-attention (IEEE ISM 2021, section III-B): no factor on the logits,
    one bias for all heads, no biases in the projections.

    Args:
        channels: C.
        width: of all heads together.
        num_heads: N.
        position: a key of `POSITION_BIASES`.
        frequency: base of the wavelengths.
        dropout: share of attention weights that training drops.
        num_segments: M blocks of weights, one for each segment of the sequence, which
            attends to itself alone and counts its positions from zero; one block for
            the whole sequence if None.
        start: (random key, (inputs, outputs)) -> the initial values of a head.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the width.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        num_heads: int,
        *,
        position: str,
        frequency: float,
        dropout: float,
        num_segments: int | None = None,
        start: Start,
        rngs: nnx.Rngs,
    ):
        check_heads("width", width, num_heads)
        if num_segments is not None:
            check_least(1, num_segments=num_segments)
        blocks = () if num_segments is None else (num_segments,)
        head = (channels, width // num_heads)

        def project():
            values = _draw(start, rngs, (*blocks, num_heads), head)
            return Kernel(jnp.moveaxis(values, -3, -2))  # [(M,) C, N, D]

        self.query, self.key, self.value = project(), project(), project()
        out = _draw(start, rngs, blocks, (width, channels))
        self.out = Kernel(out.reshape(*blocks, num_heads, -1, channels))
        self.position, self.frequency = position, frequency
        self.dropout = dropout
        self.num_segments = num_segments

    def __call__(
        self,
        x: chex.Array,
        length: chex.Array,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Attends; steps from a sequence's length [B] on are hidden.

        Raises:
            ValueError: if training drops weights and has no random key.
        """
        drops = train and self.dropout > 0
        if drops and rngs is None:
            raise ValueError("dropout needs a random key in training: rng=….")
        key = rngs.dropout() if drops and rngs is not None else None
        keys = _keys(key, x.shape[0])
        if sequence_devices() > 1:
            return self._on_devices(x, length, keys)
        along_batch = jax.vmap(self._one, in_axes=(0, 0, 0 if drops else None))
        return along_batch(x, length, keys)

    def weights(self, x: chex.Array, length: chex.Array, head: int = -1) -> chex.Array:
        """A head's attention weights in evaluation; without segments.

        Args:
            x: [B, T, C].
            length: [B]; steps from there on are hidden.
            head: which one; the last by default.

        Returns:
            [B, T, T]; each row sums to one over the steps that are there.
        """

        def one(x, length):
            x = _without_padding(x, length)
            query, key = (
                x @ projection.kernel[:, head] for projection in (self.query, self.key)
            )
            bias, mask = self._bias_and_mask(x.shape[0], length)
            return attention_weights(query, key, bias, mask, scale=1.0)

        return jax.vmap(one)(x, length)

    def _one(self, x, length, key):
        """One sequence: [T, C] -> [T, C]."""
        x = _without_padding(x, length)
        kernels = self._kernels()
        if self.num_segments is None:
            return self._attend(x, length, key, kernels)
        segments = split_segments(x, length, self.num_segments)
        lengths = segment_lengths(length, self.num_segments)
        along = jax.vmap(self._attend, in_axes=(0, 0, None if key is None else 0, 0))
        out = along(segments, lengths, _keys(key, self.num_segments), kernels)
        return join_segments(out, length, x.shape[0])

    def _on_devices(self, x, length, keys):
        """Sequences [B, T, C] whose steps are split over devices."""
        x = jax.vmap(_without_padding)(x, length)
        kernels = self._kernels()
        positions = Positions(self._bias_of, self.dropout, BLOCK, _rows_together)
        if self.num_segments is not None:
            if keys is not None:
                keys = jax.vmap(lambda key: _keys(key, self.num_segments))(keys)
            return attend_segments(x, length, keys, kernels, positions)
        *into, out = kernels
        query, key, value = (
            jax.vmap(to_heads, in_axes=(0, None))(x, kernel) for kernel in into
        )
        attended = attend_whole(query, key, value, length, keys, positions)
        return jax.vmap(from_heads, in_axes=(0, None))(attended, out)

    def _kernels(self):
        """Of query, key, value and output."""
        parts = self.query, self.key, self.value, self.out
        return tuple(part.kernel[...] for part in parts)

    def _attend(self, x, length, key, kernels):
        """Steps [T, C] that see each other, by their kernels, [C, N, D] and out."""
        *into, out = kernels
        query, key_, value = (to_heads(x, kernel) for kernel in into)
        how = self._in_blocks if x.shape[0] >= LONG else self._at_once
        return from_heads(how(query, key_, value, length, key), out)

    def _in_blocks(self, query, key, value, length, rng):
        drop = None if rng is None else functools.partial(dropout_factors, self.dropout)
        return attend_blocked(
            query, key, value, self._bias_of, length, block=BLOCK, scale=1.0,
            factor_of=drop, factor_data=rng,
        )  # fmt: skip

    def _at_once(self, query, key, value, length, rng):
        bias, mask = self._bias_and_mask(query.shape[1], length)

        def one_head(head, query, key, value):
            weights = attention_weights(query, key, bias, mask, scale=1.0)
            if rng is not None:
                rows = jnp.arange(query.shape[0])[:, None]
                columns = jnp.arange(key.shape[0])[None]
                weights = weights * dropout_factors(
                    self.dropout, rng, head, rows, columns
                )
            return jnp.matmul(weights, value)

        return jax.vmap(one_head)(jnp.arange(len(query)), query, key, value)

    @property
    def _bias_of(self):
        return functools.partial(
            POSITION_BIASES[self.position],
            frequency=self.frequency,
            channels=self.query.kernel.shape[-3],
        )

    def _bias_and_mask(self, num_steps, length):
        """[T, T] each; the bias is made once and serves all heads."""
        steps = jnp.arange(num_steps)
        bias = self._bias_of(steps[:, None], steps[None], length)
        mask = jnp.broadcast_to(steps[None] < length, bias.shape)
        return bias, mask


class Kernel(nnx.Module):
    """An array of weights under the name that optimizers and sharding rules know."""

    def __init__(self, kernel: chex.Array):
        self.kernel = nnx.Param(kernel)


def _without_padding(x, length):
    """[T, C] with zeros from `length` on: NaN there must not reach a gradient."""
    return jnp.where((jnp.arange(len(x)) < length)[:, None], x, 0)


def _rows_together(num_steps):
    """Queries of a block: all of a short sequence, even blocks of a long one."""
    return num_steps if num_steps < LONG else even_block(num_steps, BLOCK)


def _keys(key, count):
    return None if key is None else jax.random.split(key, count)


def _draw(start, rngs, blocks, shape):
    """Initial values [*blocks, *shape], every block drawn for itself."""
    draw = functools.partial(start, shape=shape)
    for size in reversed(blocks):
        draw = functools.partial(_many, draw, size)
    return draw(rngs.params())


def _many(draw, size, key):
    return jax.vmap(draw)(jax.random.split(key, size))
