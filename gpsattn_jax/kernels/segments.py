"""A sequence cut into equal segments, and joined again.

The cuts follow the true length, so a padded sequence is cut where the unpadded one is.
"""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.shapes import check_shapes


def segment_lengths(length: chex.Array | int, num_segments: int) -> chex.Array:
    """Steps of each segment [M]: n = ceil(length / M), the last ones fewer or none."""
    size = _size(length, num_segments)
    return jnp.clip(length - jnp.arange(num_segments) * size, 0, size)


def split_segments(
    x: chex.Array, length: chex.Array | int, num_segments: int
) -> chex.Array:
    """Cuts a sequence into segments: [T, C] -> [M, ceil(T / M), C].

    Segment m holds the steps from m n on, n = ceil(length / M). What lies beyond a
    segment's own length (see `segment_lengths`) means nothing.

    Args:
        x: [T, C]; steps from `length` on are padding.
        length: true length, at most T; may be traced.
        num_segments: M.

    Raises:
        ValueError: if the shape does not fit or there are no segments.
    """
    check_shapes(x=(x, "T C"))
    room = _size(x.shape[0], num_segments)
    padded = jnp.pad(x, ((0, room * num_segments - x.shape[0]), (0, 0)))
    starts = jnp.arange(num_segments) * _size(length, num_segments)
    # The last start is at most T - room + room: a slice never has to be moved.
    return jax.vmap(
        lambda start: jax.lax.dynamic_slice_in_dim(padded, start, room), out_axes=0
    )(starts)


def join_segments(
    segments: chex.Array, length: chex.Array | int, num_steps: int
) -> chex.Array:
    """The inverse of `split_segments`: [M, n', C] -> [T, C].

    Args:
        segments: [M, n', C], n' = ceil(T / M).
        length: true length, at most T; may be traced.
        num_steps: T. Steps from `length` on mean nothing.

    Raises:
        ValueError: if the shape does not fit.
    """
    check_shapes(segments=(segments, "M S C"))
    count, room, _ = segments.shape
    if room != _size(num_steps, count):
        raise ValueError(
            f"segments must be [M, {_size(num_steps, count)}, C] for num_steps="
            f"{num_steps}; got {segments.shape}."
        )
    step = jnp.arange(num_steps)
    size = jnp.maximum(_size(length, count), 1)
    # Step t is number t - m n of segment m; padding beyond them repeats something.
    place = jnp.minimum(step // size * room + step % size, count * room - 1)
    return segments.reshape(count * room, -1)[place]


def _size(length, num_segments):
    if num_segments < 1:
        raise ValueError(f"num_segments must be at least 1; got {num_segments}.")
    return (length + num_segments - 1) // num_segments
