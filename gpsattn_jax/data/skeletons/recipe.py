"""The recipe of a training run: what is done to clips, how strongly, in which order."""

import dataclasses
from typing import Annotated

import jax

from gpsattn_jax.configs import Amount, Checked, Share, rising_pair
from gpsattn_jax.data.skeletons import augment

WITHIN_ONE = rising_pair("(0, 1]", "rise within (0, 1]")
POSITIVE = rising_pair("(0, inf)", "rise above 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig(Checked, prefix="augment."):
    """What training does to each clip anew.

    Attributes:
        crop: least and greatest share of a clip's frames that is taken.
        degrees: the clip turns about x, y and z by up to this; flat joints about z.
        scale: least and greatest factor on all coordinates.
        noise: standard deviation of noise on each coordinate.
        mirror: share of clips that are mirrored left to right, where the layout says
            which joints change places.
        drop_axis: share of clips of which one coordinate, drawn anew, becomes 0 (after
            SkateFormer, arXiv 2403.09508).
        drop_joints: share of joints that are hidden, each in a whole clip.
        drop_frames: share of frames that are hidden.
    """

    crop: Annotated[tuple[float, float], WITHIN_ONE] = (0.7, 1.0)
    degrees: tuple[Amount, Amount, Amount] = (0.0, 0.0, 0.0)
    scale: Annotated[tuple[float, float], POSITIVE] = (0.8, 1.2)
    noise: Amount = 0.01
    mirror: Share = 0.5
    drop_axis: Share = 0.0
    drop_joints: Share = 0.0
    drop_frames: Share = 0.0


def augment_clips(
    recipe: AugmentConfig,
    mirror: tuple[tuple[int, int], ...],
    joints: jax.Array,
    mask: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Changes a batch of clips at random.

    Args:
        recipe: what is done, and how strongly.
        mirror: (left, right) joints, a layout's `mirror`.
        joints: [B, M, T, V, C].
        mask: [B, M, T, V].
        key: random key.

    Returns:
        (joints, mask) of the same shapes.
    """
    keys = jax.random.split(key, 6)
    if recipe.mirror and mirror:
        joints, mask = augment.mirror(joints, mask, keys[0], mirror, recipe.mirror)
    if any(recipe.degrees):
        joints = augment.rotate(joints, keys[1], recipe.degrees)
    if recipe.scale != (1.0, 1.0):
        joints = augment.scale(joints, keys[2], *recipe.scale)
    if recipe.noise:
        joints = augment.jitter(joints, mask, keys[3], recipe.noise)
    if recipe.drop_axis:
        joints = augment.drop_axis(joints, jax.random.fold_in(key, 6), recipe.drop_axis)
    if recipe.drop_joints:
        mask = augment.drop_joints(mask, keys[4], recipe.drop_joints)
    if recipe.drop_frames:
        mask = augment.drop_frames(mask, keys[5], recipe.drop_frames)
    return augment.hide(joints, mask), mask
