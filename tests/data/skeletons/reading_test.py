"""Axes and channels: read where they are certain, refused where they are not."""

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_folder import read_clip, read_folder
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.orders import possible_orders
from gpsattn_jax.data.skeletons.reading import Reading

COCO = LAYOUTS["coco17"]
# From [T, M, V, C] to each order.
TURNS = {"tmvc": (0, 1, 2, 3), "mtvc": (1, 0, 2, 3), "ctvm": (3, 0, 2, 1)}


def pixels(frames=30, persons=1, seed=0):
    draw = np.random.default_rng(seed)
    return draw.uniform(20, 480, (frames, persons, 17, 2)).astype(np.float32)


def scored(joints, share=0.35, seed=1):
    """Joints with a confidence; a share is garbage of less than 0.3. And the mask."""
    draw = np.random.default_rng(seed)
    hidden = draw.random(joints.shape[:-1]) < share
    score = np.where(hidden, draw.uniform(0.05, 0.29, hidden.shape), 0.8)
    garbage = draw.uniform(0, 640, joints.shape)
    joints = np.where(hidden[..., None], garbage, joints)
    whole = np.concatenate([joints, score[..., None]], -1).astype(np.float32)
    return whole, ~hidden


def folder_of(path, *arrays):
    for place, array in enumerate(arrays):
        np.save(path / f"c{place}.npy", array)
    rows = [f"c{place},x" for place in range(len(arrays))]
    (path / "labels.csv").write_text("\n".join(["name,label", *rows]) + "\n")
    return path


@pytest.mark.parametrize("axes", TURNS)
@pytest.mark.parametrize("persons", [1, 2])
def test_every_order_is_read_by_its_flag(tmp_path, axes, persons):
    clip = pixels(persons=persons)
    np.save(tmp_path / "a.npy", clip.transpose(TURNS[axes]))
    found = read_clip(tmp_path / "a.npy", COCO, Reading(axes=axes))
    np.testing.assert_array_equal(found.joints, clip)
    mask = np.random.default_rng(3).random(clip.shape[:3]) < 0.5
    turned = mask.transpose(
        {"tmvc": (0, 1, 2), "mtvc": (1, 0, 2), "ctvm": (0, 2, 1)}[axes]
    )
    np.savez(tmp_path / "a.npz", joints=clip.transpose(TURNS[axes]), mask=turned)
    found = read_clip(tmp_path / "a.npz", COCO, Reading(axes=axes))
    np.testing.assert_array_equal(found.mask, mask)


@pytest.mark.parametrize("axes", TURNS)
def test_one_person_s_order_is_certain(tmp_path, axes, capsys):
    clip = pixels()
    folder = folder_of(tmp_path, clip.transpose(TURNS[axes]))
    clips, _ = read_folder(folder, COCO)
    np.testing.assert_array_equal(clips.joints, clip)
    assert clips.reading.axes == axes and clips.reading.channels == "xy"
    assert f"read with --data.axes={axes} --data.channels=xy" in capsys.readouterr().err


@pytest.mark.parametrize("axes", TURNS)
@pytest.mark.parametrize("second", ["absent", "repeated"])
def test_a_second_person_is_no_coordinate(tmp_path, axes, second):
    clip = pixels(persons=2)
    clip[:, 1] = 0 if second == "absent" else clip[:, 0]
    clips, _ = read_folder(folder_of(tmp_path, clip.transpose(TURNS[axes])), COCO)
    np.testing.assert_array_equal(clips.joints, clip)
    assert clips.reading.axes == axes


def test_the_order_is_one_for_all_clips(tmp_path):
    sure, open_ = pixels(persons=1), pixels(persons=2, seed=5)
    folder = folder_of(tmp_path, *(c.transpose(TURNS["ctvm"]) for c in (open_, sure)))
    clips, _ = read_folder(folder, COCO)
    np.testing.assert_array_equal(clips.clip(0)[0], open_)
    np.save(folder / "c0.npy", pixels(frames=40))
    with pytest.raises(ValueError, match=r"c1\.npy: axes must be tmvc as in .*c0\.npy"):
        read_folder(folder, COCO)


@pytest.mark.parametrize("shape", [(2, 80, 17, 2), (3, 300, 17, 2), (5, 5, 17, 2)])
def test_an_ambiguous_order_is_refused(tmp_path, shape):
    clip = np.random.default_rng(0).normal(size=shape)
    folder = folder_of(tmp_path, clip)
    with pytest.raises(ValueError, match=r"order of axes is ambiguous.*--data\.axes"):
        read_folder(folder, COCO)


def test_orders_by_shape_alone():
    def orders(*shape):
        return possible_orders(np.random.default_rng(0).normal(size=shape), 17)

    assert orders(80, 2, 17, 2) == {"tmvc"}
    assert orders(1, 80, 17, 3) == {"mtvc"}
    assert orders(2, 80, 17, 1) == {"ctvm"}
    assert orders(3, 80, 17, 5) == {"ctvm"}
    assert orders(2, 80, 17, 2) == {"mtvc", "ctvm"}
    assert orders(1, 1, 17, 2) == {"tmvc"}
    assert orders(80, 2, 18, 2) == set()


def test_three_axes(tmp_path):
    clip = pixels()[:, 0]
    np.save(tmp_path / "a.npy", clip.transpose(2, 0, 1))  # [C, T, V]
    np.testing.assert_array_equal(
        read_clip(tmp_path / "a.npy", COCO).joints[:, 0], clip
    )


def test_an_order_that_a_clip_cannot_have_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", pixels(persons=2))
    with pytest.raises(
        ValueError, match=r"axes must be \[C, T, V, M\] \(data.axes=ctvm"
    ):
        read_clip(tmp_path / "a.npy", COCO, Reading(axes="ctvm"))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_confidence_hides_joints(tmp_path, dimensions, capsys):
    flat, mask = scored(pixels())
    deep = np.random.default_rng(2).normal(size=flat.shape[:-1])[..., None]
    both = [flat[..., :2], deep, flat[..., 2:]] if dimensions == 3 else [flat]
    whole = np.concatenate(both, -1).astype(np.float32)
    clips, _ = read_folder(folder_of(tmp_path, whole), COCO)
    np.testing.assert_array_equal(clips.mask, mask)
    expected = np.where(mask[..., None], whole[..., :dimensions], 0)
    np.testing.assert_array_equal(clips.joints, expected)
    channels = {2: "xyc", 3: "xyzc"}[dimensions]
    assert clips.reading.channels == channels
    assert f"--data.channels={channels}" in capsys.readouterr().err
    every, _ = read_folder(tmp_path, COCO, reading=Reading(least_confidence=0.0))
    assert every.mask.all()
    few, _ = read_folder(tmp_path, COCO, reading=Reading(least_confidence=0.1))
    assert mask.sum() < few.mask.sum() < mask.size


def test_a_depth_is_a_depth(tmp_path):
    metres = np.random.default_rng(0).normal(size=(30, 17, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", metres)
    clips = read_clip(tmp_path / "a.npy", COCO)
    np.testing.assert_array_equal(clips.joints[:, 0], metres)
    assert clips.mask.all() and clips.reading.channels == "xyz"
    level = np.concatenate([pixels()[:, 0], np.zeros((30, 17, 1))], -1)
    np.save(tmp_path / "a.npy", level)  # a depth of 0 is no confidence of 0
    assert read_clip(tmp_path / "a.npy", COCO).joints.shape[-1] == 3


def test_an_ambiguous_channel_is_refused_and_named(tmp_path):
    shares = np.random.default_rng(0).uniform(0.1, 0.9, (30, 17, 3))
    folder = folder_of(tmp_path, shares)
    with pytest.raises(
        ValueError, match=r"third channel is ambiguous.*--data.channels"
    ):
        read_folder(folder, COCO)
    flat, _ = read_folder(folder, COCO, reading=Reading(channels="xyc"))
    deep, _ = read_folder(folder, COCO, reading=Reading(channels="xyz"))
    assert flat.joints.shape[-1] == 2 and deep.joints.shape[-1] == 3


@pytest.mark.parametrize(
    "width, channels, message",
    [
        (4, "auto", "fourth channel must be a confidence within 0..1; got 20"),
        (5, "auto", r"must have 2 to 4 numbers a joint; got \(30, 17, 5\)"),
        (
            3,
            "xy",
            r"must have 17 joints \(coco17\) of 2 coordinates \(data.channels=xy",
        ),
        (2, "xyz", "of 3 coordinates"),
        (4, "xyc", "2 to 4 numbers a joint as data.channels=xyc"),
    ],
)
def test_channels_that_a_clip_cannot_have(tmp_path, width, channels, message):
    draw = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", draw.uniform(20, 480, (30, 17, width)))
    with pytest.raises(ValueError, match=message):
        read_clip(tmp_path / "a.npy", COCO, Reading(channels=channels))


def test_what_training_found_reads_later_clips_with_and_without_confidence(tmp_path):
    whole, mask = scored(pixels())
    np.save(tmp_path / "a.npy", whole[:, 0])
    np.save(tmp_path / "b.npy", pixels()[:, 0])
    later = Reading(axes="tmvc", channels="xyc")
    np.testing.assert_array_equal(read_clip(tmp_path / "a.npy", COCO, later).mask, mask)
    assert read_clip(tmp_path / "b.npy", COCO, later).mask.all()
    certain = read_clip(tmp_path / "a.npy", COCO, Reading(channels="xy"))
    np.testing.assert_array_equal(certain.mask, mask)


def test_an_order_of_more_persons_than_frames_is_told(tmp_path, capsys):
    np.save(tmp_path / "a.npy", pixels(frames=80).transpose(TURNS["mtvc"]))
    read_clip(tmp_path / "a.npy", COCO, Reading(axes="tmvc"))
    assert "1 frames of 80 persons" in capsys.readouterr().err
