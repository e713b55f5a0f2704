"""Sums over rows as products of matrices, and what has such sums for its gradient.

XLA on CPUs joins a plain sum over rows with the work that it follows on, into a loop
over rows for each channel, without vectors, and does that work anew for each sum. What
a product takes is written to memory once, and the product itself is fast: a third of
the gradient of TransXNet.
"""

import functools

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.platforms import platform

PARTS = 8  # Equal parts, whose sum is exact: a product with one row is a loop again.
EXACT = jax.lax.Precision.HIGHEST  # On a TPU a product would round what it sums.


def sum_of_rows(x: chex.Array) -> chex.Array:
    """[..., rows, C] -> [..., C]; a plain sum where it is not traced for a CPU."""
    if platform() != "cpu":
        return x.sum(-2)
    return _sum_by_product(x)


@jax.custom_jvp
def _sum_by_product(x):
    parts = jnp.full((*x.shape[:-2], PARTS, x.shape[-2]), 1 / PARTS, x.dtype)
    return jnp.matmul(parts, x, precision=EXACT).sum(-2)


@_sum_by_product.defjvp
def _sum_by_product_jvp(primals, tangents):
    # The tangent is a plain sum, so that the gradient is a broadcast and no product.
    return _sum_by_product(*primals), tangents[0].sum(-2)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def along_rows(vector: chex.Array, rows: int) -> chex.Array:
    """[..., C] -> [..., rows, C]; its gradient is a product with ones."""
    shape = (*vector.shape[:-1], rows, vector.shape[-1])
    return jnp.broadcast_to(vector[..., None, :], shape)


@along_rows.defjvp
def _along_rows_jvp(rows, primals, tangents):
    (vector,), (tangent,) = primals, tangents
    return along_rows(vector, rows), spread_by_product(tangent, rows)


def spread_by_product(vector: chex.Array, rows: int) -> chex.Array:
    """`along_rows` itself as a product, to stand in other rules."""
    parts = jnp.repeat(vector[..., None, :] / PARTS, PARTS, axis=-2)
    ones = jnp.ones((*vector.shape[:-1], rows, PARTS), vector.dtype)
    return jnp.matmul(ones, parts, precision=EXACT)
