"""The streams: joints, bones, and how both move."""

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.modules.joint_embedding import motion


def view(
    joints: jax.Array,
    mask: jax.Array | None,
    stream: str,
    parents: tuple[int, ...],
) -> tuple[jax.Array, jax.Array | None]:
    """A stream of joints, [B, T, V, C], and where it is known, [B, T, V].

    A bone is there if both of its joints are; the root's is zero. A motion is from the
    frame before, and zero in the first.

    Args:
        joints: [B, T, V, C].
        mask: optional boolean [B, T, V]; where joints are.
        stream: one of `STREAMS`.
        parents: the joint at the other end of each joint's bone.
    """
    if stream.startswith("bone"):
        above = np.array(parents)
        joints = joints - joints[:, :, above]
        mask = None if mask is None else mask & mask[:, :, above]
    if stream.endswith("motion"):
        joints, mask = motion(joints, mask, 1)
    if mask is not None:
        joints = jnp.where(mask[..., None], joints, 0)
    return joints, mask
