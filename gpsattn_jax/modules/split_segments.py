"""Attention within segments of sequences whose steps are split over devices.

Segments follow a sequence's true length, not the devices: their steps are brought to
the devices that have the segment, attend there, alone or in a ring of as many as share
a segment, and go back. No device ever has more than its share of the steps.
"""

import dataclasses
import functools
from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.segments import segment_lengths
from gpsattn_jax.modules.head_products import from_heads, to_heads
from gpsattn_jax.modules.mesh_axes import (
    DATA,
    HEADS,
    SEQUENCE,
    sequence_devices,
    spec_of,
)
from gpsattn_jax.modules.ring_attention import Ring, ring_attention
from gpsattn_jax.modules.split_sequences import Positions, fill_up


def attend_segments(
    x: chex.Array,
    length: chex.Array,
    rngs: chex.PRNGKey | None,
    kernels: Sequence[chex.Array],
    positions: Positions,
) -> chex.Array:
    """Attention of each step within its segment, which has kernels of its own.

    Args:
        x: [B, T, C].
        length: [B].
        rngs: [B, M] keys for dropout, or None.
        kernels: query, key and value [M, C, N, D], out [M, N, E, C].
        positions: see there.

    Returns:
        [B, T, C].

    Raises:
        ValueError: if devices and segments do not divide each other.
    """
    num_steps, count = x.shape[1], len(kernels[0])
    devices = sequence_devices()
    if devices % count and count % devices:
        raise ValueError(
            f"mesh must have devices along seq that divide the {count} segments, or "
            f"are a multiple of them; got seq:{devices}."
        )
    x = fill_up(x, 1)
    inputs = spec_of(x.shape, DATA, SEQUENCE)
    examples = spec_of(length.shape, DATA)
    into = spec_of(kernels[0].shape, None, None, HEADS)
    back = spec_of(kernels[3].shape, None, HEADS)

    def run(x, length, rngs, *kernels):
        one = functools.partial(
            _segments_of_one,
            kernels=kernels,
            layout=_Layout(count, devices, num_steps),
            positions=positions,
            heads_are_split=into[2] is not None,
        )
        return jax.vmap(one, in_axes=(0, 0, None if rngs is None else 0))(
            x, length, rngs
        )

    mapped = jax.shard_map(
        run,
        in_specs=(inputs, examples, examples, into, into, into, back),
        out_specs=inputs,
    )
    return mapped(x, length, rngs, *kernels)[:, :num_steps]


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Which device has which steps of which segments.

    A device has `each` segments, or `sharers` devices have one: `chunk` steps each.
    """

    count: int
    devices: int
    num_steps: int

    @property
    def each(self):
        return max(self.count // self.devices, 1)

    @property
    def sharers(self):
        return max(self.devices // self.count, 1)

    @property
    def room(self):
        """The most steps of a segment."""
        return -(-self.num_steps // self.count)

    @property
    def chunk(self):
        return -(-self.room // self.sharers)

    def segments(self):
        """Numbers [each] of this device's segments."""
        first = jax.lax.axis_index(SEQUENCE) // self.sharers * self.each
        return first + jnp.arange(self.each)

    def steps(self, length):
        """[each, chunk]: steps of this device's segments; -1 where there is none."""
        place = jax.lax.axis_index(SEQUENCE) % self.sharers
        inside = (place * self.chunk + jnp.arange(self.chunk))[None]
        numbers = self.segments()[:, None]
        own = segment_lengths(length, self.count)[numbers]
        return jnp.where(inside < own, numbers * self.size(length) + inside, -1)

    def places(self, steps, length):
        """Where in the devices' segments, all joined, a step stands."""
        size = jnp.maximum(self.size(length), 1)
        segment, inside = steps // size, steps % size
        device = segment // self.each * self.sharers + inside // self.chunk
        row = segment % self.each * self.chunk + inside % self.chunk
        return jnp.where(steps < length, device * self.each * self.chunk + row, -1)

    def size(self, length):
        return (length + self.count - 1) // self.count


def _segments_of_one(x, length, rngs, *, kernels, layout, positions, heads_are_split):
    """One sequence's steps [t, C] on this device -> [t, C]."""
    numbers = layout.segments()
    own = _fetch(x, layout.steps(length).reshape(-1), layout.devices)
    own = own.reshape(layout.each, layout.chunk, -1)
    heads = kernels[0].shape[2]
    ring = positions.ring(
        layout.sharers, layout.room, heads if heads_are_split else None
    )
    if rngs is None:
        ring = dataclasses.replace(ring, factor_of=None)

    def attend(x, length, rng, *kernels):
        *into, out = kernels
        query, key, value = (to_heads(x, kernel) for kernel in into)
        return from_heads(ring_attention(query, key, value, length, rng, ring), out)

    lengths = segment_lengths(length, layout.count)
    along = jax.vmap(attend, in_axes=(0, 0, None if rngs is None else 0, *(0,) * 4))
    chosen = (kernel[numbers] for kernel in kernels)
    out = along(own, lengths[numbers], None if rngs is None else rngs[numbers], *chosen)
    if heads_are_split:
        out = jax.lax.psum(out, HEADS)
    steps = jax.lax.axis_index(SEQUENCE) * len(x) + jnp.arange(len(x))
    places = layout.places(steps, length)
    return _fetch(out.reshape(-1, out.shape[-1]), places, layout.devices)


def _fetch(rows, wanted, devices):
    """Rows of all devices' rows joined: [t, C], [n] -> [n, C], zeros for -1.

    Each device's rows go round once, so that none ever holds all of them.
    """
    ring = Ring(SEQUENCE, devices, lambda *_: None, None, 1)

    def turn_of(carry, turn):
        rows, found = carry
        places = wanted - ring.holder(turn) * len(rows)
        here = (places >= 0) & (places < len(rows)) & (wanted >= 0)
        chosen = rows[jnp.clip(places, 0, len(rows) - 1)]
        found = jnp.where(here[:, None], chosen, found)
        return (ring.pass_on(rows), found), None

    nothing = jnp.zeros((len(wanted), rows.shape[1]), rows.dtype)
    # Of the type of what is fetched, for the loop.
    nothing = nothing + 0 * rows[:1] if len(rows) else nothing
    (_, found), _ = jax.lax.scan(turn_of, (rows, nothing), jnp.arange(devices))
    return found
