"""Checkpoints from before alike blocks were stacked: an array for each block."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gpsattn_jax.stacks import block_names, by_name, path_name, stack, unstack


def request_blocks(folder: pathlib.Path, target: Any) -> Any:
    """What to ask Orbax for: the saved tree, with the shapes of the target's blocks.

    Args:
        folder: of the saved tree.
        target: a tree of shapes with stacks.

    Raises:
        KeyError: if something was saved that the target does not have.
    """
    blocks = by_name(unstack(target, _block_of))
    saved = ocp.StandardCheckpointHandler().metadata(folder).tree
    return jax.tree_util.tree_map_with_path(
        lambda path, _: blocks[path_name(path)], saved
    )


def stack_blocks(found: Any, target: Any, *, moments: bool = False) -> Any:
    """What Orbax gave -> the target's tree.

    Args:
        found: as `request_blocks` asks for it.
        target: a tree of shapes with stacks.
        moments: whether it is an optimizer's state. It has none of frozen blocks; they
            are zeros in a stack of which another block learns.

    Raises:
        KeyError: if something is lacking.
    """
    blocks = by_name(found)
    if moments:
        for path, leaf in jax.tree_util.tree_leaves_with_path(target):
            names = block_names(path_name(path)) or []
            if not blocks.keys().isdisjoint(names):
                frozen = jnp.zeros(leaf.shape[1:], leaf.dtype)
                blocks = dict.fromkeys(names, frozen) | blocks
    return stack(blocks, target, _joined)


def _block_of(leaf, place):
    del place
    sharding = leaf.sharding
    if isinstance(sharding, NamedSharding):
        sharding = NamedSharding(sharding.mesh, P(*sharding.spec[1:]))
    return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype, sharding=sharding)


def _joined(blocks, wanted):
    return jax.device_put(jnp.stack(blocks), wanted.sharding)
