"""In which dtype kernels compute, and over which mesh axes their sums vary."""

import functools
import operator
from typing import Any

import chex
import jax
import jax.numpy as jnp


def accumulator(array: chex.Array) -> jnp.dtype:
    """The dtype in which sums over `array` are kept: float32 at least."""
    return jnp.promote_types(array.dtype, jnp.float32)


def as_floating(*arrays: chex.Array) -> Any:
    """Integers and booleans as float32; what is floating point stays as it is.

    Args:
        *arrays: of any shapes.

    Returns:
        One array, or a tuple of as many as were given.
    """
    found = tuple(
        array if jnp.issubdtype(array.dtype, jnp.inexact) else _as_float(array)
        for array in arrays
    )
    return found if len(found) > 1 else found[0]


def _as_float(array):
    return jnp.asarray(array).astype(accumulator(array))


def vary_alike(*arrays: chex.Array) -> tuple[chex.Array, ...]:
    """The arrays as `jax.shard_map` wants them in one loop: varying over the same axes.

    Inside `shard_map` an array's type says over which axes of the mesh it varies. A
    loop's carry and the gradients of a rule of our own must agree in that. The
    condition below is a constant, which XLA folds; the backward pass sums over the axes
    that an array gets here. Elsewhere the arrays come back as they are.

    Args:
        *arrays: floating point, of any shapes.

    Returns:
        The same values.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return arrays
    never = functools.reduce(operator.or_, map(_never, arrays))
    return tuple(jnp.where(never, jnp.zeros((), a.dtype), a) for a in arrays)


def _never(array):
    """False, of the type that says over which axes the array varies."""
    first = jax.lax.slice(array, [0] * array.ndim, [min(n, 1) for n in array.shape])
    return jnp.logical_and(False, jnp.isnan(first)).any()
