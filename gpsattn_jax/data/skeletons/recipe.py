"""The recipe of a training run: what is done to clips, how strongly, in which order."""

import dataclasses

import jax

from gpsattn_jax.data.skeletons import augment


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What training does to each clip anew.

    Attributes:
        crop: least and greatest share of a clip's frames that is taken.
        degrees: the clip turns about x, y and z by up to this; flat joints about z.
        scale: least and greatest factor on all coordinates.
        noise: standard deviation of noise on each coordinate.
        mirror: share of clips that are mirrored left to right, where the layout says
            which joints change places.
        drop_joints: share of joints that are hidden, each in a whole clip.
        drop_frames: share of frames that are hidden.
    """

    crop: tuple[float, float] = (0.7, 1.0)
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float] = (0.8, 1.2)
    noise: float = 0.01
    mirror: float = 0.5
    drop_joints: float = 0.0
    drop_frames: float = 0.0

    def __post_init__(self) -> None:
        """Rejects what cannot be drawn."""
        for name, count in (("crop", 2), ("scale", 2), ("degrees", 3)):
            if len(getattr(self, name)) != count:
                raise ValueError(
                    f"augment.{name} must be {count} numbers; "
                    f"got {getattr(self, name)}."
                )
        low, high = self.crop
        if not 0 < low <= high <= 1:
            raise ValueError(f"augment.crop must rise within (0, 1]; got {self.crop}.")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"augment.scale must rise above 0; got {self.scale}.")
        if self.noise < 0 or min(self.degrees) < 0:
            raise ValueError(
                "augment.noise and augment.degrees must be at least 0; "
                f"got {self.noise} and {self.degrees}."
            )
        for name in ("mirror", "drop_joints", "drop_frames"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"augment.{name} must be in [0, 1); got {getattr(self, name)}."
                )


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
    if recipe.drop_joints:
        mask = augment.drop_joints(mask, keys[4], recipe.drop_joints)
    if recipe.drop_frames:
        mask = augment.drop_frames(mask, keys[5], recipe.drop_frames)
    return augment.hide(joints, mask), mask
