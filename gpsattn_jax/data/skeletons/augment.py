"""Augmentations of joints on the device: pure functions of (arrays, key).

Joints are [B, M, T, V, C] with 0 where missing, masks [B, M, T, V]; every clip of the
batch draws its own numbers, one draw for all its persons and frames.
"""

import jax
import jax.numpy as jnp
import numpy as np


def rotate(
    joints: jax.Array, key: jax.Array, degrees: tuple[float, float, float]
) -> jax.Array:
    """Turns each clip about the origin.

    Args:
        joints: [B, M, T, V, C].
        key: random key.
        degrees: the angles about x, y and z are uniform in [-degrees, degrees]; flat
            joints (C = 2) turn in their plane, about z.

    Returns:
        [B, M, T, V, C].
    """
    count, dimensions = joints.shape[0], joints.shape[-1]
    most = jnp.deg2rad(jnp.array([degrees], jnp.float32))
    angles = jax.random.uniform(key, (count, 3), minval=-1.0) * most
    turn = _plane(angles[:, 2], 0, 1)
    if dimensions == 3:
        turn = turn @ _plane(angles[:, 1], 2, 0) @ _plane(angles[:, 0], 1, 2)
    turn = turn[:, :dimensions, :dimensions]
    return jnp.einsum("bmtvc,bdc->bmtvd", joints, turn, precision="highest")


def scale(joints: jax.Array, key: jax.Array, low: float, high: float) -> jax.Array:
    """Multiplies each clip by one factor.

    Args:
        joints: [B, M, T, V, C].
        key: random key.
        low: least factor.
        high: greatest factor; the factors are uniform between the two.

    Returns:
        [B, M, T, V, C].
    """
    factors = jax.random.uniform(key, _per_clip(joints), minval=low, maxval=high)
    return joints * factors


def jitter(
    joints: jax.Array, mask: jax.Array, key: jax.Array, sigma: float
) -> jax.Array:
    """Adds Gaussian noise to every coordinate.

    Args:
        joints: [B, M, T, V, C].
        mask: [B, M, T, V].
        key: random key.
        sigma: standard deviation.

    Returns:
        [B, M, T, V, C].
    """
    return hide(joints + sigma * jax.random.normal(key, joints.shape), mask)


def mirror(
    joints: jax.Array,
    mask: jax.Array,
    key: jax.Array,
    pairs: tuple[tuple[int, int], ...],
    share: float = 0.5,
) -> tuple[jax.Array, jax.Array]:
    """Mirrors some clips at the origin and swaps their left and right joints.

    The first coordinate points from left to right.

    Args:
        joints: [B, M, T, V, C].
        mask: [B, M, T, V].
        key: random key.
        pairs: (left, right) joints, a layout's `mirror`.
        share: of the clips that are mirrored.

    Returns:
        (joints, mask).
    """
    order = np.arange(joints.shape[3])
    for left, right in pairs:
        order[[left, right]] = right, left
    sign = np.ones((1, 1, 1, 1, joints.shape[-1]), np.float32)
    sign[..., 0] = -1.0
    chosen = jax.random.bernoulli(key, share, _per_clip(joints))
    turned = joints[:, :, :, order] * sign
    return (
        jnp.where(chosen, turned, joints),
        jnp.where(chosen[..., 0], mask[:, :, :, order], mask),
    )


def drop_axis(joints: jax.Array, key: jax.Array, share: float) -> jax.Array:
    """Sets one coordinate of some clips to 0, the same in all their frames.

    Args:
        joints: [B, M, T, V, C].
        key: random key.
        share: of the clips of which a coordinate is dropped, each as often.

    Returns:
        [B, M, T, V, C].
    """
    which, whether = jax.random.split(key)
    count, dimensions = len(joints), joints.shape[-1]
    axis = jax.random.randint(which, (count, 1), 0, dimensions)
    chosen = jax.random.bernoulli(whether, share, (count, 1))
    dropped = chosen & (jnp.arange(dimensions)[None] == axis)
    return jnp.where(dropped[:, None, None, None], 0.0, joints)


def drop_joints(mask: jax.Array, key: jax.Array, share: float) -> jax.Array:
    """Drops joints of a clip, each in all its frames.

    A clip that would lose all is left as it was; `hide` sets the joints to 0.

    Args:
        mask: [B, M, T, V].
        key: random key.
        share: probability with which a joint is dropped.

    Returns:
        [B, M, T, V].
    """
    kept = jax.random.bernoulli(key, 1.0 - share, (len(mask), 1, 1, mask.shape[3]))
    return _not_all(mask, mask & kept)


def drop_frames(mask: jax.Array, key: jax.Array, share: float) -> jax.Array:
    """Drops frames of a clip; see `drop_joints`.

    Args:
        mask: [B, M, T, V].
        key: random key.
        share: probability with which a frame is dropped.

    Returns:
        [B, M, T, V].
    """
    kept = jax.random.bernoulli(key, 1.0 - share, (len(mask), 1, mask.shape[2], 1))
    return _not_all(mask, mask & kept)


def hide(joints: jax.Array, mask: jax.Array) -> jax.Array:
    """Joints [B, M, T, V, C] with 0 where the mask [B, M, T, V] is False."""
    return jnp.where(mask[..., None], joints, 0.0)


def center(joints: jax.Array, mask: jax.Array, root: int) -> jax.Array:
    """Moves each clip: the root, where it is there first, becomes the origin.

    It is the root of the first person who has one. In a clip without any root, the
    mean of all joints becomes the origin.

    Args:
        joints: [B, M, T, V, C].
        mask: [B, M, T, V].
        root: number of the joint.

    Returns:
        [B, M, T, V, C].
    """
    present = mask[..., root].reshape(len(mask), -1)
    roots = joints[..., root, :].reshape(len(mask), -1, joints.shape[-1])
    first = jnp.argmax(present, axis=1)[:, None, None]
    place = jnp.take_along_axis(roots, first, axis=1)[:, 0]
    count = jnp.maximum(mask.sum((1, 2, 3)), 1)[:, None]
    mean = joints.sum((1, 2, 3)) / count
    place = jnp.where(present.any(1)[:, None], place, mean)
    return hide(joints - place[:, None, None, None, :], mask)


def scale_to_unit(joints: jax.Array, mask: jax.Array) -> jax.Array:
    """Divides each clip by its persons' size, wherever they walk.

    The size is the root mean square distance of the joints from the middle of their
    person in their frame. A clip of single joints stays as it is.
    """
    count = jnp.maximum(mask.sum(3), 1)[..., None, None]
    middle = joints.sum(3, keepdims=True) / count
    squares = jnp.square(hide(joints - middle, mask)).sum((1, 2, 3, 4))
    size = jnp.sqrt(squares / jnp.maximum(mask.sum((1, 2, 3)), 1))
    return joints / jnp.where(size > 1e-6, size, 1.0).reshape(_per_clip(joints))


def _plane(angles, first, second):
    """Rotation matrices [B, 3, 3] that turn one axis towards another."""
    cosine, sine = jnp.cos(angles), jnp.sin(angles)
    turn = jnp.tile(jnp.eye(3), (len(angles), 1, 1))
    turn = turn.at[:, first, first].set(cosine).at[:, second, second].set(cosine)
    return turn.at[:, first, second].set(-sine).at[:, second, first].set(sine)


def _per_clip(joints):
    return len(joints), 1, 1, 1, 1


def _not_all(mask, left):
    return jnp.where(left.any((1, 2, 3), keepdims=True), left, mask)
