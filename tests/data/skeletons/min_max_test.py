"""Clips in a cube, and frames that are drawn: against plain NumPy, clip by clip."""

import math

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_set import ClipSet
from gpsattn_jax.data.skeletons.join import join_clips
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.load import DataConfig
from gpsattn_jax.data.skeletons.min_max import random_turns
from gpsattn_jax.data.skeletons.sets import load

LENGTHS, LAYOUT = (1, 9, 40), LAYOUTS["nw_ucla20"]


def walks(masks=None, dimensions=3):
    """Clips of three lengths, each in its own place and of its own size."""
    draw = np.random.default_rng(0)
    arrays = [
        n + (2 + n) * draw.normal(size=(n, 1, 20, dimensions)).astype(np.float32)
        for n in LENGTHS
    ]
    count = len(arrays)
    return join_clips(
        arrays, masks=masks, labels=range(count), layout=LAYOUT,
        names=[f"clip{n}" for n in range(count)],
        class_names=[f"class{n}" for n in range(count)],
    )  # fmt: skip


def frames_of(clips, seeds=None, frames=16, **options):
    places = np.arange(len(clips))
    return ClipSet(clips, frames, frames="draw", **options).batch(places, seeds)


def peers_clip(clip, x_angle, y_angle, scale):
    """What CTR-GCN's feeder does to the frames [T, 20, 3] of a clip of NW-UCLA."""
    centred = scale * (clip - clip[0, 1])
    cosine, sine = math.cos(x_angle), math.sin(x_angle)
    about_x = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    cosine, sine = math.cos(y_angle), math.sin(y_angle)
    about_y = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    flat = centred.reshape(-1, 3) @ about_x @ about_y
    flat = (flat - flat.min(0)) / (flat.max(0) - flat.min(0))
    return (2 * flat - 1).reshape(clip.shape)


def angles_of(turns):
    """Of rotations about x and then y."""
    x = np.arctan2(turns[:, 1, 2] * -1, turns[:, 1, 1])
    return x, np.arctan2(-turns[:, 2, 0], turns[:, 0, 0])


def test_test_clips_are_as_the_peers_have_them():
    clips = walks()
    batch = frames_of(clips, min_max=True, frames=12)["inputs"]["joints"]
    for place, length in enumerate(LENGTHS):
        wanted = peers_clip(clips.clip(place)[0][:, 0], 0, 0, 1)
        chosen = np.linspace(0, length - 1, 12).astype(int)
        np.testing.assert_allclose(batch[place, 0], wanted[chosen], atol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_training_clips_are_as_the_peers_have_them(scale):
    """Their centring and their scale are without effect; the turn is not."""
    clips, seeds = walks(), np.arange(3) + 7
    turns = random_turns(seeds, (60, 60, 0), 3)
    turned = frames_of(clips, seeds, min_max=True, degrees=(60, 60, 0))["inputs"]
    for place, (x, y) in enumerate(zip(*angles_of(turns), strict=True)):
        wanted = peers_clip(clips.clip(place)[0][:, 0], x, y, scale)
        length = LENGTHS[place]
        time = turned["time"][place].astype(np.float64)
        chosen = np.rint((time + 1) * length / 2).astype(int)
        np.testing.assert_allclose(
            turned["joints"][place, 0], wanted[chosen], atol=1e-5
        )
    still = frames_of(clips, seeds, min_max=True)["inputs"]["joints"]
    assert abs(still - turned["joints"]).max() > 0.1


def test_turns_stay_within_their_angles():
    turns = random_turns(np.arange(4000), (60, 30, 0), 3)
    np.testing.assert_allclose(
        turns @ turns.swapaxes(1, 2), np.tile(np.eye(3), (4000, 1, 1)), atol=1e-6
    )
    for angles, most in zip(angles_of(turns), (60, 30), strict=True):
        degrees = np.rad2deg(angles)
        assert abs(degrees).max() <= most + 1e-3
        assert degrees.min() < -0.95 * most and degrees.max() > 0.95 * most
    assert random_turns(np.arange(2), (60, 30, 90), 2).shape == (2, 2, 2)


def test_joints_that_are_missing_do_not_count():
    masks = [np.ones((n, 1, 20), bool) for n in LENGTHS]
    masks[1][3:, 0, 4] = False
    clips = walks(masks)
    far = clips.joints.copy()
    far[~clips.mask] = 1000
    clips.joints[...] = far
    batch = frames_of(clips, min_max=True)["inputs"]
    assert not batch["mask"].all()
    assert not batch["joints"][~batch["mask"]].any()
    assert abs(batch["joints"]).max() <= 1 + 1e-5


def test_an_axis_without_extent_is_in_the_middle():
    clips = walks()
    clips.joints[..., 2] = 5.0
    joints = frames_of(clips, min_max=True)["inputs"]["joints"]
    assert np.isfinite(joints).all() and not joints[..., 2].any()


def test_drawn_frames_are_sorted_and_come_again():
    clips, seeds = walks(), np.arange(3) + (5 << 40)
    batch = frames_of(clips, seeds)["inputs"]
    joints, time = batch["joints"], batch["time"]
    assert (np.diff(time, axis=1) >= 0).all()
    assert (np.diff(time[1]) == 0).any()  # 16 of 9 frames: some come twice
    own = clips.clip(2)[0].swapaxes(0, 1)[0]
    for frame in joints[2, 0]:
        assert (frame == own).all((1, 2)).any()  # none is between two frames
    again = frames_of(clips, seeds)["inputs"]["joints"]
    np.testing.assert_array_equal(joints, again)
    assert (joints != frames_of(clips, seeds + 1)["inputs"]["joints"]).any()


def test_every_frame_is_drawn_as_often():
    clips = walks()
    source = ClipSet(clips, 50, frames="draw")
    time = source.batch(np.full(400, 1), np.arange(400))["inputs"]["time"]
    counts = np.bincount(np.rint((time + 1) * 9 / 2).astype(int).ravel(), minlength=9)
    assert len(counts) == 9
    assert abs(counts / counts.sum() - 1 / 9).max() < 0.01


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="one of resize, draw; got .a."):
        ClipSet(walks(), 4, frames="a")
    with pytest.raises(ValueError, match=r"unit_size must be false with data\.min_max"):
        DataConfig(unit_size=True, min_max=True)
    with pytest.raises(ValueError, match=r"as1, as2, as3, or empty .*; got 'as4'"):
        DataConfig(name="msr_action3d", protocol="as4")
    with pytest.raises(ValueError, match=r"protocol must be empty for data\.name"):
        DataConfig(name="utkinect", protocol="as1")


# Protocols.


@pytest.mark.parametrize(
    "protocol, numbers",
    [
        ("as1", (2, 3, 5, 6, 10, 13, 18, 20)),
        ("as2", (1, 4, 7, 8, 9, 11, 12, 14)),
        ("as3", (6, 14, 15, 16, 17, 18, 19, 20)),
    ],
)
def test_action_sets_of_msr(data_dir, protocol, numbers):
    """Li, Zhang and Liu's eight actions each, numbered as there from 1."""
    whole, splits = load("msr_action3d", data_dir)
    part, part_splits = load("msr_action3d", data_dir, protocol)
    assert part.class_names == tuple(whole.class_names[n - 1] for n in numbers)
    chosen = np.flatnonzero(np.isin(whole.labels, np.array(numbers) - 1))
    assert part.names == tuple(whole.names[place] for place in chosen)
    for place, label in enumerate(part.labels):
        assert part.names[place].startswith(f"a{numbers[label]:02}_")
    np.testing.assert_array_equal(part.clip(3)[0], whole.clip(chosen[3])[0])
    for (train, test), (all_train, all_test) in zip(part_splits, splits, strict=True):
        assert sorted([*train, *test]) == list(range(len(part)))
        names = {part.names[place] for place in train}
        assert names <= {whole.names[place] for place in all_train}
        assert not names & {whole.names[place] for place in all_test}


def test_views_to_choose_on(data_dir):
    clips, splits = load("nw_ucla", data_dir)
    again, ((train, held),) = load("nw_ucla", data_dir, "view1_to_view2")
    assert again.names == clips.names
    assert sorted([*train, *held]) == sorted(splits[0][0])
    for places, view in ((train, "_v01"), (held, "_v02")):
        assert all(clips.names[place].endswith(view) for place in places)
