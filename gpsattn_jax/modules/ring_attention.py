"""Softmax attention over a sequence that devices share: keys go round in a ring.

Each device keeps its queries and sees the keys of one device at a time, which it then
passes on ("Ring Attention with Blockwise Transformers for Near-Infinite Context", Liu
et al. 2023, arXiv 2310.01889). No device holds a whole sequence, forward or backward.
The two passes over the keys at hand are the kernel's.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.blocked_passes import backward_pass, even_block, forward_pass
from gpsattn_jax.kernels.dtypes import accumulator, vary_alike


@dataclasses.dataclass(frozen=True)
class Ring:
    """A ring of devices, and what attention knows of positions.

    Attributes:
        axis: of the mesh; its devices form rings of neighbours.
        size: devices of a ring; they divide those of the axis.
        bias_of: as `attend_blocked` takes it, of global rows and columns.
        factor_of: optional (rng, head, rows, columns) -> factors on the weights after
            the softmax, of global rows and columns.
        block: the most queries that are worked off at a time.
    """

    axis: str
    size: int
    bias_of: Callable[..., chex.Array]
    factor_of: Callable[..., chex.Array] | None
    block: int

    @property
    def place(self) -> chex.Array:
        """Of this device in its ring."""
        return jax.lax.axis_index(self.axis) % self.size

    def pass_on(self, arrays: Any) -> Any:
        """Each array of a tree to the next device of the ring, from the one before."""
        if self.size == 1:
            return arrays
        devices = range(jax.lax.axis_size(self.axis))
        pairs = [(d, d // self.size * self.size + (d + 1) % self.size) for d in devices]
        return jax.tree.map(lambda a: jax.lax.ppermute(a, self.axis, pairs), arrays)

    def holder(self, turn: chex.Array) -> chex.Array:
        """The place whose arrays are here after so many turns."""
        return (self.place - turn) % self.size


def ring_attention(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    length: chex.Array,
    rng: chex.PRNGKey | None,
    ring: Ring,
) -> chex.Array:
    """Attention of this device's queries to all keys of the ring.

    Equals `attend_blocked` with a scale of 1 on the joined sequence. To be called
    inside `jax.shard_map`, by all devices of the ring.

    Args:
        query: [N, t, D], this device's steps.
        key: [N, t, D], likewise.
        value: [N, t, E], likewise.
        length: of the joined sequence; keys from there on are hidden.
        rng: what `ring.factor_of` takes.
        ring: see there.

    Returns:
        [N, t, E] in value's dtype.
    """
    steps = ring.place * key.shape[1] + jnp.arange(key.shape[1])
    visible = (steps < length)[None, :, None]
    key, value = (jnp.where(visible, array, 0) for array in (key, value))
    return _attend(*vary_alike(query, key, value), length, rng, ring)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attend(query, key, value, length, rng, ring):
    return _forward(query, key, value, length, rng, ring)[0]


def _forward(query, key, value, length, rng, ring):
    """Output, and what the backward pass needs."""

    def turn_of(carry, turn):
        keys, out, log_sum = carry
        hidden, how = _at(ring, turn, query, length)
        key, value = keys
        part = forward_pass(query, key, value, [], hidden, rng, how)
        out, log_sum = _joined(out, log_sum, *part)
        # After the last turn each has its own again: one pass more than needed, and
        # one program for all turns.
        return (ring.pass_on(keys), out, log_sum), None

    wide = accumulator(value)
    start = vary_alike(
        query,
        jnp.zeros((*query.shape[:2], value.shape[-1]), wide),
        jnp.full(query.shape[:2], -jnp.inf, wide),
    )[1:]
    (_, out, log_sum), _ = jax.lax.scan(
        turn_of, ((key, value), *start), jnp.arange(ring.size)
    )
    out = out.astype(value.dtype)
    # A row that sees no key weighs nothing in the backward pass.
    log_sum = jnp.where(log_sum == -jnp.inf, jnp.inf, log_sum)
    return out, (query, key, value, length, rng, out, log_sum)


def _backward(ring, residuals, out_grad):
    """Gradients of keys and values go round with them, and are home after all turns."""
    query, key, value, length, rng, out, log_sum = residuals

    def turn_of(carry, turn):
        query_grad, keys, grads = carry
        hidden, how = _at(ring, turn, query, length)
        inputs = (query, *keys, [], hidden, rng, out, log_sum)
        more, *key_grads, _ = backward_pass(how, inputs, out_grad)
        grads = jax.tree.map(jnp.add, grads, tuple(key_grads))
        return (query_grad + more, *ring.pass_on((keys, grads))), None

    arrays = (query, key, value)
    zeros = [jnp.zeros_like(array, accumulator(array)) for array in arrays]
    _, first, *rest = vary_alike(query, *zeros)
    (query_grad, _, grads), _ = jax.lax.scan(
        turn_of, (first, (key, value), tuple(rest)), jnp.arange(ring.size)
    )
    found = (
        grad.astype(array.dtype)
        for grad, array in zip((query_grad, *grads), arrays, strict=True)
    )
    return *found, None, None


_attend.defvjp(_forward, _backward)


def _at(ring, turn, query, length):
    """The kernel's arguments at a turn: hidden keys from here on, and how."""
    steps = query.shape[1]
    first_row, first_column = ring.place * steps, ring.holder(turn) * steps

    def bias_of(rows, columns, _):
        return ring.bias_of(rows + first_row, columns + first_column, length)

    def factor_of(rng, head, rows, columns):
        return ring.factor_of(rng, head, rows + first_row, columns + first_column)

    block = even_block(steps, ring.block)
    factors = None if ring.factor_of is None else factor_of
    how = (bias_of, factors, jax.tree.structure(None), block, 1.0)
    return length - first_column, how


def _joined(out, log_sum, more, more_sum):
    """Softmax over two sets of keys, from that over each and their logarithms."""
    more_sum = jnp.where(more_sum == jnp.inf, -jnp.inf, more_sum)  # no key
    top = jnp.maximum(log_sum, more_sum)
    top = jnp.where(top == -jnp.inf, 0, top)
    shares = jnp.exp(log_sum - top), jnp.exp(more_sum - top)
    total = shares[0] + shares[1]
    safe = jnp.where(total == 0, 1, total)
    weights = [(share / safe)[..., None] for share in shares]
    log_total = jnp.where(total == 0, -jnp.inf, top + jnp.log(safe))
    return weights[0] * out + weights[1] * more, log_total
