"""The mesh over which a network's work is split, where `training` has set one.

A module does not take a mesh: it asks for the one that is set around it
(`jax.set_mesh`), and without one, or without an axis `seq`, knows nothing of devices.
"""

import math

import chex
import jax
from jax.sharding import PartitionSpec as P

DATA, SEQUENCE, HEADS = "data", "seq", "model"


def sequence_devices() -> int:
    """Along how many devices sequences, rows of pixels and persons are split."""
    mesh = jax.sharding.get_abstract_mesh()
    if SEQUENCE in mesh.manual_axes:  # inside of what is split already
        return 1
    return mesh.shape.get(SEQUENCE, 1)


def spec_of(shape: tuple[int, ...], *axes: str | None) -> P:
    """How an array lies on the mesh that is set.

    Args:
        shape: of the array.
        axes: of the mesh, for the first axes of the array.

    Returns:
        The axes without those that the mesh lacks, or that do not divide the array.
    """
    sizes = jax.sharding.get_abstract_mesh().shape
    return P(
        *(
            axis if axis in sizes and length % sizes[axis] == 0 else None
            for axis, length in zip(axes, shape, strict=False)
        )
    )


def over_all_devices(x: chex.Array) -> chex.Array:
    """An array whose first axis is split over `data` and `seq` together.

    That is for examples of which none sees another, such as the persons of all clips.
    As it is if nothing is split along `seq`, or the devices do not divide the axis.

    Args:
        x: [B, …].
    """
    if sequence_devices() == 1:
        return x
    sizes = jax.sharding.get_abstract_mesh().shape
    axes = tuple(axis for axis in (DATA, SEQUENCE) if axis in sizes)
    if len(x) % math.prod(sizes[axis] for axis in axes):
        return x
    return jax.lax.with_sharding_constraint(x, P(axes))


def after(first: chex.Array, x: chex.Array) -> chex.Array:
    """x, for work that has to wait until another array is there.

    Two exchanges between devices that do not depend on each other may begin in another
    order on each of them. XLA on CPUs then waits for ever; a barrier is no help, since
    it takes barriers away. As it is where nothing is split along `seq`.

    Args:
        first: finite, or what is made of it is lost anyway.
        x: of the same shape.
    """
    if sequence_devices() == 1:
        return x
    return x + 0 * first.astype(x.dtype)


def joined_places(x: chex.Array) -> chex.Array:
    """[B, …, C] -> [places, C], for products of two matrices.

    As it is where devices share rows of pixels: of examples and rows joined, no device
    would have a range, and each would get all of them.

    Args:
        x: [B, …, C].
    """
    return x if sequence_devices() > 1 else x.reshape(-1, x.shape[-1])
