"""Augmentations of joints: what they keep, what they change, and missing joints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.data.skeletons import augment
from gpsattn_jax.data.skeletons.layouts import LAYOUTS

LAYOUT = LAYOUTS["nw_ucla20"]
KEY = jax.random.key(3)
TURN = (60.0, 60.0, 20.0)


def made(count=6, dimensions=3, persons=2, seed=0):
    """Joints [B, M, T, V, C] with gaps, and their mask."""
    draw = np.random.default_rng(seed)
    joints = draw.normal(size=(count, persons, 5, 20, dimensions)).astype(np.float32)
    mask = draw.random(joints.shape[:-1]) < 0.9
    mask[0, 1:] = False
    return jnp.where(mask[..., None], joints, 0.0), jnp.asarray(mask)


def mirrored(joints, mask, key):
    return augment.mirror(joints, mask, key, LAYOUT.mirror)


def dropping(drop):
    def apply(joints, mask, key):
        mask = drop(mask, key, 0.3)
        return augment.hide(joints, mask), mask

    return apply


# Each as (joints, mask, key) -> (joints, mask).
ALL = {
    "rotate": lambda j, m, k: (augment.rotate(j, k, TURN), m),
    "scale": lambda j, m, k: (augment.scale(j, k, 0.5, 1.5), m),
    "jitter": lambda j, m, k: (augment.jitter(j, m, k, 0.1), m),
    "mirror": mirrored,
    "drop_joints": dropping(augment.drop_joints),
    "drop_frames": dropping(augment.drop_frames),
    "center": lambda j, m, k: (augment.center(j, m, LAYOUT.root), m),
    "scale_to_unit": lambda j, m, k: (augment.scale_to_unit(j, m), m),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_missing_joints_stay_at_zero_and_clips_differ(name, dimensions):
    joints, mask = made(dimensions=dimensions)
    # Twice the same clip: a random change must tell them apart, others must not.
    joints, mask = joints.at[1].set(joints[2]), mask.at[1].set(mask[2])
    apply = jax.jit(ALL[name])
    changed, left = apply(joints, mask, KEY)
    assert changed.shape == joints.shape and changed.dtype == jnp.float32
    assert left.dtype == bool and np.isfinite(changed).all()
    assert not np.asarray(changed)[~np.asarray(left)].any()
    alike = name in ("center", "scale_to_unit")
    if name != "mirror":  # half of whose pairs of clips are treated alike
        assert np.array_equal(changed[1], changed[2]) == alike
    other, dropped = apply(joints, mask, jax.random.key(4))
    same = np.array_equal(other, changed) and np.array_equal(dropped, left)
    assert same == alike


def distances(joints):
    flat = np.asarray(joints).reshape(len(joints), -1, joints.shape[-1])
    return np.linalg.norm(flat[:, :, None] - flat[:, None], axis=-1)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_rotation_keeps_all_distances(dimensions):
    joints, _ = made(dimensions=dimensions)
    turned = augment.rotate(joints, KEY, TURN)
    np.testing.assert_allclose(distances(turned), distances(joints), atol=1e-5)
    assert abs(turned - joints).max() > 0.1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_rotation_about_one_axis(axis):
    joints, _ = made(count=200, persons=1)
    degrees = tuple(45.0 * (a == axis) for a in range(3))
    turned = np.asarray(augment.rotate(joints, KEY, degrees))
    np.testing.assert_allclose(turned[..., axis], joints[..., axis], atol=1e-6)
    others = [a for a in range(3) if a != axis]
    before = np.asarray(joints)[:, 0, 0, :, others].transpose(1, 2, 0)
    after = turned[:, 0, 0, :, others].transpose(1, 2, 0)
    present = np.abs(before[:, 3]).sum(-1) > 0
    angle = np.arctan2(*after[present, 3].T) - np.arctan2(*before[present, 3].T)
    angle = np.rad2deg((angle + np.pi) % (2 * np.pi) - np.pi)
    assert abs(angle).max() < 45.01
    assert angle.min() < -40 and angle.max() > 40


def test_a_scale_is_one_factor_a_clip():
    joints, mask = made(count=100)
    scaled = np.asarray(augment.scale(joints, KEY, 0.5, 1.5))
    mask = np.asarray(mask)
    factor = scaled[mask] / np.asarray(joints)[mask]
    clip = np.nonzero(mask)[0]
    means = np.array([factor[clip == i].mean() for i in range(100)])
    np.testing.assert_allclose(
        factor, means[clip][:, None] * np.ones((1, 3)), rtol=1e-5
    )
    assert 0.5 <= means.min() < 0.55 and 1.45 < means.max() <= 1.5


def test_jitter_has_its_deviation():
    joints, mask = made()
    noise = np.asarray(augment.jitter(joints, mask, KEY, 0.05) - joints)[mask]
    assert noise.std() == pytest.approx(0.05, rel=0.1)
    assert abs(noise.mean()) < 0.01


def test_a_mirror_swaps_sides_and_turns_back():
    joints, mask = made()
    once = augment.mirror(joints, mask, KEY, LAYOUT.mirror, share=1.0)
    left, right = LAYOUT.mirror[2]
    flipped = np.asarray(joints) * np.array([-1, 1, 1], np.float32)
    np.testing.assert_array_equal(once[0][..., left, :], flipped[..., right, :])
    np.testing.assert_array_equal(once[1][..., left], mask[..., right])
    np.testing.assert_array_equal(once[0][..., 0, :], flipped[..., 0, :])
    twice = augment.mirror(*once, KEY, LAYOUT.mirror, share=1.0)
    np.testing.assert_array_equal(twice[0], joints)
    np.testing.assert_array_equal(twice[1], mask)
    never = augment.mirror(joints, mask, KEY, LAYOUT.mirror, share=0.0)
    np.testing.assert_array_equal(never[0], joints)


def test_a_mirror_takes_its_share():
    joints, mask = made(count=400, persons=1)
    turned, _ = augment.mirror(joints, mask, KEY, (), share=0.25)
    chosen = (np.asarray(turned) != np.asarray(joints)).any((1, 2, 3))
    assert 0.18 < chosen[:, 0].mean() < 0.32
    assert not chosen[:, 1:].any()


@pytest.mark.parametrize("drop, axis", [("drop_joints", 3), ("drop_frames", 2)])
def test_what_is_dropped_is_dropped_whole(drop, axis):
    mask = jnp.ones((300, 2, 5, 20), bool)
    left = np.asarray(getattr(augment, drop)(mask, KEY, 0.2))
    others = tuple(a for a in (1, 2, 3) if a != axis)
    np.testing.assert_array_equal(left.any(others), left.all(others))
    assert left.mean() == pytest.approx(0.8, abs=0.03)
    everything = getattr(augment, drop)(mask, KEY, 1.0)
    assert everything.all()  # a clip without any joint says nothing


def test_the_root_becomes_the_origin_of_all_persons_and_frames():
    joints, mask = made()
    mask = mask.at[:, 0, 0, LAYOUT.root].set(False).at[:, 0, 1, LAYOUT.root].set(True)
    joints = augment.hide(joints + 3.0, mask)
    centred = np.asarray(augment.center(joints, mask, LAYOUT.root))
    np.testing.assert_allclose(centred[:, 0, 1, LAYOUT.root], 0, atol=1e-6)
    shift = (np.asarray(joints) - centred)[np.asarray(mask)]
    clip = np.nonzero(np.asarray(mask))[0]
    expected = np.asarray(joints)[clip, 0, 1, LAYOUT.root]
    np.testing.assert_allclose(shift, expected, atol=1e-5)


def test_the_second_person_is_the_origin_where_the_first_is_not_there():
    joints, mask = made()
    mask = mask.at[:, 0].set(False).at[:, 1, 0].set(True)
    centred = augment.center(augment.hide(joints, mask), mask, LAYOUT.root)
    np.testing.assert_allclose(centred[:, 1, 0, LAYOUT.root], 0, atol=1e-6)


def test_a_clip_without_root_has_its_mean_as_origin():
    joints, mask = made()
    mask = mask.at[..., LAYOUT.root].set(False)
    centred = augment.center(augment.hide(joints + 3, mask), mask, LAYOUT.root)
    np.testing.assert_allclose(centred.sum((1, 2, 3)), 0, atol=1e-3)


def test_a_clip_of_unit_size_wherever_it_walks():
    joints, mask = made()
    walk = jnp.arange(5.0).reshape(1, 1, 5, 1, 1) * jnp.ones_like(joints)
    plain = augment.scale_to_unit(joints, mask)
    moved = augment.scale_to_unit(augment.hide(7 * (joints + walk), mask), mask)
    ratio = np.asarray(moved - plain)[np.asarray(mask)].reshape(-1, 3)
    assert np.isfinite(ratio).all()
    sizes = []
    for clip, present in zip(np.asarray(moved), np.asarray(mask), strict=True):
        squares = [
            np.square(frame[there] - frame[there].mean(0)).sum(-1)
            for person, persons in zip(clip, present, strict=True)
            for frame, there in zip(person, persons, strict=True)
            if there.any()
        ]
        sizes.append(np.sqrt(np.concatenate(squares).mean()))
    np.testing.assert_allclose(sizes, 1.0, rtol=1e-4)
    lone = jnp.zeros_like(mask).at[:, 0, :, 4].set(True)
    kept = augment.hide(joints, lone)
    np.testing.assert_allclose(augment.scale_to_unit(kept, lone), kept)


def test_one_axis_of_some_clips_is_dropped():
    joints = jnp.ones((3000, 1, 2, 3, 3))
    found = np.asarray(augment.drop_axis(joints, jax.random.key(0), 0.5))
    axes = found.all((1, 2, 3))  # [clips, axis], whether it is there
    np.testing.assert_array_equal(axes, found.any((1, 2, 3)))
    assert (axes.sum(-1) >= 2).all()
    dropped = ~axes
    assert abs(dropped.any(-1).mean() - 0.5) < 0.05
    assert abs(dropped.mean(0) - 1 / 6).max() < 0.03
