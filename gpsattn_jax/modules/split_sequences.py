"""Positional attention over sequences whose steps are split over devices.

Over the whole sequence it is a ring of all devices; for segments see
`split_segments.py`.
"""

import dataclasses
import functools
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.modules.mesh_axes import (
    DATA,
    HEADS,
    SEQUENCE,
    sequence_devices,
    spec_of,
)
from gpsattn_jax.modules.ring_attention import Ring, ring_attention
from gpsattn_jax.modules.weight_dropout import dropout_factors_at


@dataclasses.dataclass(frozen=True)
class Positions:
    """What attention over a split sequence does beside its products.

    Attributes:
        bias_of: as `attend_blocked` takes it.
        dropout: share of weights that are dropped where there are keys for it.
        block: the most queries that are worked off at a time.
        rows: steps of a sequence or segment -> queries of a block where one device has
            all of them, which says what dropout draws.
    """

    bias_of: Callable[..., chex.Array]
    dropout: float
    block: int
    rows: Callable[[int], int]

    def ring(self, size: int, num_steps: int, split_heads: int | None) -> Ring:
        """A ring of some devices over a sequence of so many steps in all.

        Args:
            size: devices of the ring.
            num_steps: as one device would have them.
            split_heads: heads on this device, if other devices have others.
        """

        def factors(rng, head, rows, columns):
            if split_heads is not None:
                head = head + jax.lax.axis_index(HEADS) * split_heads
            return dropout_factors_at(
                self.dropout, rng, head, rows, columns,
                block=self.rows(num_steps), num_keys=num_steps,
            )  # fmt: skip

        return Ring(SEQUENCE, size, self.bias_of, factors, self.block)


def attend_whole(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    length: chex.Array,
    rngs: chex.PRNGKey | None,
    positions: Positions,
) -> chex.Array:
    """Attention over whole sequences.

    Args:
        query: [B, N, T, D].
        key: [B, N, T, D].
        value: [B, N, T, E].
        length: [B].
        rngs: [B] keys for dropout, or None.
        positions: see there.

    Returns:
        [B, N, T, E].
    """
    num_steps = query.shape[2]
    query, key, value = (fill_up(array, 2) for array in (query, key, value))
    spec = spec_of(query.shape, DATA, HEADS, SEQUENCE)
    examples = spec_of(length.shape, DATA)

    def run(query, key, value, length, rngs):
        heads = query.shape[1] if spec[1] else None
        ring = positions.ring(jax.lax.axis_size(SEQUENCE), num_steps, heads)
        ring = ring if rngs is not None else dataclasses.replace(ring, factor_of=None)
        one = functools.partial(ring_attention, ring=ring)
        rng_axis = None if rngs is None else 0
        return jax.vmap(one, in_axes=(0, 0, 0, 0, rng_axis))(
            query, key, value, length, rngs
        )

    mapped = jax.shard_map(
        run, in_specs=(spec, spec, spec, examples, examples), out_specs=spec
    )
    return mapped(query, key, value, length, rngs)[:, :, :num_steps]


def fill_up(array: chex.Array, axis: int) -> chex.Array:
    """Steps that nobody sees, up to a multiple of the devices.

    Args:
        array: of any shape.
        axis: of the steps.
    """
    padding = [(0, 0)] * array.ndim
    padding[axis] = (0, -array.shape[axis] % sequence_devices())
    return jnp.pad(array, padding) if padding[axis][1] else array
