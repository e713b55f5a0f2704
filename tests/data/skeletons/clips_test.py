"""Clips, their batches, their gaps, and the public sets."""

import time

import numpy as np
import pytest

from gpsattn_jax.data.batches import Batches
from gpsattn_jax.data.skeletons.clip_set import ClipSet
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import interpolate, interpolated, missing_joints
from gpsattn_jax.data.skeletons.join import join_clips
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.sampling import uniform
from gpsattn_jax.data.skeletons.sets import SETS, load, validation

JHMDB = LAYOUTS["jhmdb15"]
FACTS = {  # clips, classes, persons, sizes of the splits' first part
    "nw_ucla": (1484, 10, 10, [1020]),
    "jhmdb14": (609, 14, None, [433, 433, 434]),
    "utkinect": (199, 10, 10, None),
    "florence3d": (215, 9, 10, None),
    "msr_action3d": (557, 20, 10, None),
}


def ramp(frames, start=1.0, shape=(1, 15, 2)):
    """A clip of which every coordinate is `start` + the frame's number."""
    values = start + np.arange(frames, dtype=np.float32)
    return np.broadcast_to(values.reshape(-1, *[1] * len(shape)), (frames, *shape))


def clips_of(*arrays, masks=None, **fields):
    count = len(arrays)
    fields = {
        "labels": np.arange(count),
        "names": [f"clip{i}" for i in range(count)],
        "class_names": [f"class{i}" for i in range(count)],
        "layout": JHMDB,
    } | fields
    return join_clips(arrays, masks=masks, **fields)


def inputs_of(clips, frames, seeds=None, places=None, **fields):
    places = np.arange(len(clips)) if places is None else np.asarray(places)
    return ClipSet(clips, frames, **fields).batch(places, seeds)["inputs"]


def test_clips_keep_their_frames():
    clips = clips_of(ramp(3), ramp(5, 10.0), ramp(2, 20.0))
    assert len(clips) == 3
    np.testing.assert_array_equal(clips.clip(1)[0], ramp(5, 10.0))
    picked = clips.select([2, 0])
    assert picked.names == ("clip2", "clip0")
    np.testing.assert_array_equal(picked.labels, [2, 0])
    np.testing.assert_array_equal(picked.offsets, [0, 2, 5])
    np.testing.assert_array_equal(picked.clip(0)[0], ramp(2, 20.0))
    np.testing.assert_array_equal(picked.clip(1)[0], ramp(3))
    assert len(clips.select([])) == 0


def test_persons_are_filled_up_and_masked():
    clips = clips_of(ramp(3, shape=(15, 2)), ramp(2, shape=(3, 15, 2)))
    joints, mask = clips.clip(0)
    assert joints.shape == (3, 3, 15, 2)
    assert mask[:, 0].all() and not mask[:, 1:].any()
    assert not joints[:, 1:].any()


def test_the_root_may_be_the_origin():
    centred = ramp(4).copy()
    centred[:, :, JHMDB.root] = 0
    assert clips_of(centred).mask.all()
    centred[1, :, JHMDB.root + 1] = 0
    assert np.argwhere(~clips_of(centred).mask).tolist() == [[1, 0, JHMDB.root + 1]]
    # A root that is elsewhere in others is missing where it is at zero.
    assert not clips_of(centred, ramp(3)).mask[:4, 0, JHMDB.root].any()


@pytest.mark.parametrize(
    "arrays, fields, message",
    [
        ([ramp(2)], {"labels": [1]}, r"clip0: label must be in 0\.\.0; got 1"),
        ([ramp(2)], {"labels": [-1]}, "clip0: label must be in"),
        ([ramp(2), ramp(0)], {}, "clip1: must have frames"),
        ([ramp(2), ramp(2)], {"names": ["a", "a"]}, "a: clips must differ in name"),
        (
            [ramp(2, shape=(1, 17, 2))],
            {},
            "clip0: .* 15 joints of layout jhmdb15; got 17",
        ),
        ([ramp(2), ramp(2, shape=(15, 3))], {}, "clip1: must have 2 coord.*; got 3"),
        ([ramp(2), ramp(2) * np.nan], {}, "clip1: must have joints; got none"),
        ([ramp(2) * 0], {}, "clip0: must have joints; got none"),
        ([ramp(2)[0, 0]], {}, r"clip0: joints must be numbers \[T, V, C\]"),
        ([ramp(2).astype(str)], {}, "clip0: joints must be numbers"),
        ([ramp(2)], {"masks": [np.ones((3, 15))]}, r"clip0: mask must be \(2, 1, 15\)"),
        ([ramp(2)], {"groups": np.zeros(2)}, r"groups must be \[1\]; got \(2,\)"),
    ],
)
def test_a_wrong_clip_is_named(arrays, fields, message):
    with pytest.raises(ValueError, match=message):
        clips_of(*arrays, **fields)


def test_clips_check_their_arrays():
    clips = clips_of(ramp(3), ramp(2))
    fields = {
        "joints": clips.joints, "mask": clips.mask, "offsets": clips.offsets,
        "labels": clips.labels, "names": clips.names, "class_names": ("a", "b"),
        "layout": JHMDB,
    }  # fmt: skip
    for field, value, message in (
        ("joints", clips.joints.astype(float), "joints must be .* float32"),
        (
            "layout",
            LAYOUTS["coco17"],
            "must have the 17 joints of layout coco17; got 15",
        ),
        ("mask", clips.mask[:2], "mask must be"),
        ("offsets", np.array([0, 3, 4]), "offsets must be 3 numbers from 0 to 5"),
        ("offsets", np.array([0, 5, 5]), "clip1: must have frames"),
    ):
        with pytest.raises(ValueError, match=message):
            Clips(**(fields | {field: value}))


@pytest.mark.parametrize("frames", [1, 2, 5, 9])
def test_a_clip_is_resized_on_straight_lines(frames):
    clips = clips_of(ramp(5), ramp(1, 7.0), ramp(30, 3.0))
    inputs = inputs_of(clips, frames)
    assert inputs["joints"].shape == (3, 1, frames, 15, 2)
    assert inputs["joints"].dtype == inputs["time"].dtype == np.float32
    assert inputs["mask"].all() and inputs["mask"].dtype == bool
    for place, (start, length) in enumerate([(1.0, 5), (7.0, 1), (3.0, 30)]):
        t = np.linspace(0, length - 1, frames) if frames > 1 else [(length - 1) / 2]
        found = inputs["joints"][place, 0, :, 3, 1]
        np.testing.assert_allclose(found, start + np.asarray(t), rtol=1e-6)
        expected = 2 * np.asarray(t) / length - 1
        np.testing.assert_allclose(inputs["time"][place], expected, atol=1e-6)


def test_a_crop_is_a_part_of_its_clip_and_a_function_of_its_seed():
    clips = clips_of(ramp(50), ramp(1, 9.0))
    seeds = np.arange(400) + (5 << 40)
    places = np.zeros(400, int)
    inputs = inputs_of(clips, 8, seeds, places, crop=(0.4, 0.8))
    found = inputs["joints"][:, 0, :, 0, 0] - 1
    assert found.min() >= 0 and found.max() <= 49
    shares = (found[:, -1] - found[:, 0] + 1) / 50
    assert 0.4 <= shares.min() < 0.42 and 0.78 < shares.max() <= 0.8
    np.testing.assert_allclose(np.diff(found, 2), 0, atol=1e-4)
    np.testing.assert_allclose(inputs["time"], 2 * found / 50 - 1, atol=1e-5)
    starts = found[:, 0] / (50 * (1 - shares))
    assert starts.min() < 0.02 and starts.max() > 0.98
    again = inputs_of(clips, 8, seeds[::-1], places, crop=(0.4, 0.8))
    np.testing.assert_array_equal(again["joints"], inputs["joints"][::-1])
    alone = inputs_of(clips, 8, seeds[:1], [1], crop=(0.4, 0.8))
    np.testing.assert_array_equal(alone["joints"], 9.0)


def test_draws_are_uniform_and_differ():
    seeds = np.arange(20_000) + (1 << 40)
    draws = np.stack([uniform(seeds, 0), uniform(seeds, 1)])
    assert draws.min() >= 0 and draws.max() < 1
    counts = np.histogram2d(*draws, bins=10)[0]
    assert abs(counts - 200).max() < 70  # five standard deviations
    assert abs(np.corrcoef(draws)[0, 1]) < 0.03
    assert abs(np.corrcoef(draws[0, 1:], draws[0, :-1])[0, 1]) < 0.03


def test_a_resized_joint_needs_both_of_its_frames():
    mask = np.ones((3, 1, 15), bool)
    mask[1, 0, 4] = False
    clips = clips_of(ramp(3), masks=[mask])
    inputs = inputs_of(clips, 5)  # at 0, 0.5, 1, 1.5, 2
    np.testing.assert_array_equal(inputs["mask"][0, 0, :, 4], [1, 0, 0, 0, 1])
    assert inputs["mask"][0, 0, :, :4].all()
    assert not inputs["joints"][~inputs["mask"]].any()


@pytest.mark.parametrize(
    "frames, crop, message",
    [
        (0, (1.0, 1.0), "num_frames must be at least 1; got 0"),
        (4, (0.0, 1.0), r"crop must be a range within \(0, 1\]"),
        (4, (0.9, 0.5), "crop must be a range"),
        (4, (0.5, 1.5), "crop must be a range"),
    ],
)
def test_a_wrong_crop(frames, crop, message):
    with pytest.raises(ValueError, match=message):
        ClipSet(clips_of(ramp(2)), frames, crop)


def test_a_set_makes_batches():
    source = ClipSet(clips_of(*(ramp(n) for n in range(2, 12))), 4, (0.5, 1.0))
    batches = Batches(source, batch_size=4, seed=1)
    batch = batches(3)
    assert batch["inputs"]["joints"].shape == (4, 1, 4, 15, 2)
    assert batch["targets"]["label"].dtype == np.int32
    np.testing.assert_array_equal(
        batch["inputs"]["joints"], batches(3)["inputs"]["joints"]
    )


def test_missing_joints():
    joints = ramp(2, shape=(1, 4, 3)).copy()
    joints[0, 0, 0, 1] = np.nan
    joints[0, 0, 1, 2] = np.inf
    joints[1, 0, 2] = 0
    joints[1, 0, 3, :2] = 0
    expected = [[[False, False, True, True]], [[True, True, False, True]]]
    np.testing.assert_array_equal(missing_joints(joints), expected)


def test_gaps_are_filled_in_time():
    joints = ramp(6, shape=(2, 3, 2)).copy()
    mask = np.ones((6, 2, 3), bool)
    mask[[0, 2, 3, 5], 0, 1] = False
    mask[:, 1, 2] = False
    joints = np.where(mask[..., None], joints, 0)
    filled, present = interpolate(joints, mask)
    np.testing.assert_allclose(filled[:, 0, 1, 0], [2, 2, 3, 4, 5, 5])
    assert not present[:, 1, 2].any() and not filled[:, 1, 2].any()
    assert present.sum() == present.size - 6
    np.testing.assert_array_equal(filled[mask], joints[mask])
    assert filled.dtype == np.float32


def test_gaps_are_filled_clip_by_clip():
    mask = np.ones((3, 1, 15), bool)
    mask[2, 0, 0] = False
    clips = interpolated(clips_of(ramp(3), ramp(2, 50.0), masks=[mask, None]))
    assert clips.mask.all()
    assert clips.joints[2, 0, 0, 0] == 2.0  # not a value of the next clip


@pytest.mark.parametrize("name", SETS)
def test_a_public_set(name, data_dir):
    clips, splits = load(name, data_dir)
    count, classes, persons, first = FACTS[name]
    assert len(clips) == count and len(clips.class_names) == classes
    assert set(clips.labels) == set(range(classes))
    assert len(splits) == (len(first) if first else 10)
    assert first is None or [len(train) for train, _ in splits] == first
    for train, test in splits:
        assert not set(train) & set(test)
        assert len(train) + len(test) == count
    if persons:
        assert len(np.unique(clips.groups)) == persons
    assert np.isfinite(clips.joints).all()
    assert not clips.joints[~clips.mask].any()
    again, _ = load(name, data_dir / "skeletons")
    np.testing.assert_array_equal(again.joints, clips.joints)


@pytest.mark.parametrize("name", ["utkinect", "florence3d", "msr_action3d"])
def test_nobody_is_in_both_parts(name, data_dir):
    clips, splits = load(name, data_dir)
    for train, test in splits:
        assert not set(clips.groups[train]) & set(clips.groups[test])


def test_validation_holds_persons_out(data_dir):
    clips, splits = load("utkinect", data_dir)
    train = splits[0][0]
    held = []
    for fold in range(5):
        rest, out = validation(clips, train, fold)
        assert sorted([*rest, *out]) == sorted(train)
        assert len(set(clips.groups[out])) == 1
        assert not set(clips.groups[out]) & set(clips.groups[rest])
        held += list(out)
    assert sorted(held) == sorted(train)
    with pytest.raises(ValueError, match=r"fold must be in 0\.\.4; got 5"):
        validation(clips, train, 5)


def test_validation_without_persons_keeps_the_classes_shares(data_dir):
    clips, splits = load("jhmdb14", data_dir)
    train = splits[1][0]
    held = [validation(clips, train, fold)[1] for fold in range(5)]
    assert sorted(np.concatenate(held)) == sorted(train)
    for out in held:
        whole = np.bincount(clips.labels[train], minlength=14)
        part = np.bincount(clips.labels[out], minlength=14)
        assert (abs(part - whole / 5) < 1).all()
    np.testing.assert_array_equal(validation(clips, train, 2)[1], held[2])


def test_a_set_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="set must be one of nw_ucla, .*; got 'ntu'"):
        load("ntu", tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"utkinect\.npz .*: no such set.*--data_dir"
    ):
        load("utkinect", tmp_path)
    np.savez(tmp_path / "utkinect.npz", coords=np.ones((1, 20, 3)))
    with pytest.raises(
        ValueError, match=r"utkinect\.npz: must have the array 'labels'"
    ):
        load("utkinect", tmp_path)


def ntu_arrays():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(5, 12, 2, 25, 3)).astype(np.float32)
    x[0, 7:] = 0  # padding
    x[1, :, 1] = 0  # one person
    x[2, 3] = 0  # a frame in the middle, without anybody
    x[3, 0, 0, 1] = 0  # the joint on which clips are centred
    return {
        "x_train": x[:3].reshape(3, 12, 150), "y_train": np.eye(4)[[0, 3, 1]],
        "x_test": x[3:].reshape(2, 12, 150), "y_test": np.eye(4)[[2, 2]],
    }, x  # fmt: skip


def test_ntu(tmp_path):
    arrays, x = ntu_arrays()
    np.savez(tmp_path / "ntu.npz", **arrays)
    clips, [(train, test)] = ntu_npz(tmp_path / "ntu.npz")
    assert (len(train), len(test)) == (3, 2)
    np.testing.assert_array_equal(np.diff(clips.offsets), [7, 12, 12, 12, 12])
    np.testing.assert_array_equal(clips.labels, [0, 3, 1, 2, 2])
    assert clips.class_names == ("A001", "A002", "A003", "A004")
    assert clips.layout is LAYOUTS["ntu25"]
    np.testing.assert_array_equal(clips.clip(0)[0], x[0, :7])
    assert clips.clip(0)[1].all() and clips.clip(3)[1].all()
    np.testing.assert_array_equal(clips.clip(1)[1].all((0, 2)), [True, False])
    np.testing.assert_array_equal(np.flatnonzero(~clips.clip(2)[1].all((1, 2))), [3])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x_train": np.ones((3, 12, 75), "f4")}, r"x_train must be \[N, T, 150\]"),
        ({"y_train": np.eye(4)[[0, 1]]}, r"y_train must be \[3, classes\]"),
        ({"y_test": np.ones((2, 4))}, "y_test must be one-hot; got another row at 0"),
        ({"y_test": np.eye(5)[[0, 1]]}, "y_test must have the 4 classes .* got 5"),
        ({"x_test": np.zeros((2, 9, 150), "f4")}, "test_00000: must have joints"),
        ({"x_test": np.zeros((2, 0, 150), "f4")}, "x_test must"),
        ({"x_test": None}, "must have the array x_test"),
    ],
)
def test_a_wrong_ntu_file(tmp_path, change, message):
    arrays = {k: v for k, v in (ntu_arrays()[0] | change).items() if v is not None}
    np.savez(tmp_path / "ntu.npz", **arrays)
    with pytest.raises(ValueError, match=rf"(?s)ntu\.npz: .*{message}"):
        ntu_npz(tmp_path / "ntu.npz")


def test_a_batch_costs_little(data_dir):
    clips, _ = load("nw_ucla", data_dir)
    source, draw = ClipSet(clips, 32, (0.6, 1.0)), np.random.default_rng(0)
    times = []
    for step in range(50):
        places = draw.integers(0, len(clips), 32)
        start = time.perf_counter()
        source.batch(places, np.arange(32) + 32 * step)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.002
