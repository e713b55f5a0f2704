"""Projections of a sequence to heads, and back.

Plain matrix products: of einsum over heads XLA makes one that copies the kernels.
"""

import chex


def to_heads(x: chex.Array, kernel: chex.Array) -> chex.Array:
    """[T, C], [C, N, D] -> [N, T, D]."""
    channels, num_heads, _ = kernel.shape
    flat = x @ kernel.reshape(channels, -1)
    return flat.reshape(x.shape[0], num_heads, -1).swapaxes(0, 1)


def from_heads(out: chex.Array, kernel: chex.Array) -> chex.Array:
    """[N, T, E], [N, E, C] -> [T, C]."""
    flat = out.swapaxes(0, 1).reshape(out.shape[1], -1)
    return flat @ kernel.reshape(-1, kernel.shape[-1])
