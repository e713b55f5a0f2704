"""Clips by a run's settings: pickles, pairs, npz files, and what a run may set."""

import pickle

import numpy as np
import pytest

from gpsattn_jax.data.skeletons import pyskl
from gpsattn_jax.data.skeletons.clip_folder import read_clips
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.load import DataConfig, load_parts
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.data.skeletons.reading import Reading

COCO, NTU = LAYOUTS["coco17"], LAYOUTS["ntu25"]


def annotated(count, begin="v", channels=2, **more):
    draw = np.random.default_rng(0)
    return [
        {
            "frame_dir": f"{begin}_{i}", "label": i % 2, "img_shape": (480, 640),
            "total_frames": 5, "keypoint": draw.uniform(20, 480, (1, 5, 17, channels)),
        } | more
        for i in range(count)
    ]  # fmt: skip


def dump(path, content):
    path.write_bytes(pickle.dumps(content))
    return str(path)


def parts_of(**options):
    return load_parts(DataConfig(**({"layout": "coco17"} | options)))


def sizes(parts):
    return len(parts["train"]), len(parts["test"])


def test_two_pickles(tmp_path):
    train = dump(tmp_path / "train.pkl", annotated(6))
    test = dump(tmp_path / "test.pkl", annotated(3, "w"))
    pair = {"name": "pickle", "path": "unused.pkl", "train_path": train}
    parts = parts_of(**pair, test_path=test)
    assert sizes(parts) == (6, 3)
    assert parts["test"].names == ("w_0", "w_1", "w_2")
    split = {"mine": ["w_2"]}
    dump(tmp_path / "test.pkl", {"split": split, "annotations": annotated(3, "w")})
    own = parts_of(**pair, test_path=test, test_split="mine")
    assert own["test"].names == ("w_2",) and len(own["train"]) == 6
    same = dump(tmp_path / "same.pkl", annotated(3))
    with pytest.raises(ValueError, match=r"v_0: clips must differ in name"):
        parts_of(**pair, test_path=same)


def test_a_pickle_without_splits_draws_one_and_says_so(tmp_path, capsys):
    path = dump(tmp_path / "a.pkl", annotated(20))
    parts = parts_of(name="pickle", path=path)
    assert sizes(parts) == (16, 4)
    assert np.bincount(parts["test"].labels).tolist() == [2, 2]
    assert "it has no splits; a fifth of each class" in capsys.readouterr().err
    again = parts_of(name="pickle", path=path, num_frames=7)
    assert again["test"].names == parts["test"].names


def test_unused_and_doubled_clips_of_a_pickle_are_counted(tmp_path, capsys):
    split = {"train": ["v_0", "v_1", "v_2"], "test": ["v_2", "v_3"], "other": ["v_4"]}
    path = dump(tmp_path / "a.pkl", {"split": split, "annotations": annotated(6)})
    parts_of(name="pickle", path=path)
    printed = capsys.readouterr().err
    assert "1 clips are in both train and test, such as v_2" in printed
    assert "2 clips are in no used part" in printed


def test_a_confidence_in_a_pickle_s_keypoint(tmp_path):
    found = annotated(4, channels=3)
    for one in found:
        one["keypoint"][..., 2] = 0.8
    found[1]["keypoint"][0, 2, 3, 2] = 0.1
    clips, _ = read_annotations(dump(tmp_path / "a.pkl", found), COCO)
    assert clips.reading.channels == "xyc" and clips.joints.shape[-1] == 2
    assert np.argwhere(~clips.mask).tolist() == [[7, 0, 3]]
    expected = (found[0]["keypoint"][0, ..., :2] - [320, 240]) / 320
    np.testing.assert_allclose(clips.clip(0)[0][:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("axes, turn", [("tmvc", (1, 0, 2, 3)), ("ctvm", (3, 1, 2, 0))])
def test_other_axes_of_a_pickle_have_a_flag(tmp_path, axes, turn):
    found = annotated(2)
    plain, _ = read_annotations(dump(tmp_path / "a.pkl", found), COCO)
    for one in found:
        one["keypoint"] = one["keypoint"].transpose(turn)
    path = dump(tmp_path / "b.pkl", found)
    with pytest.raises(ValueError, match=r"v_0: .*data\.axes"):
        read_annotations(path, COCO)
    clips, _ = read_annotations(path, COCO, reading=Reading(axes=axes))
    np.testing.assert_array_equal(clips.joints, plain.joints)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"keypoint": np.ones((0, 5, 17, 2))}, r"must have persons; got \(0, 5, 17, 2"),
        ({"keypoint": np.ones((1, 0, 17, 2)), "total_frames": 0}, "must have frames"),
        ({"label": np.arange(2)}, r"label must be .* got an array \(2,\) of int64"),
        ({"label": [[[]]] * 2}, "label must be .* got \\[\\[a list of 0"),
        ({"label": 10**5000}, "label must be .* got a number of 16610 bits"),
        ({"total_frames": "5"}, "total_frames must be a number; got '5'"),
        ({"keypoint": [[1.0]]}, "keypoint must be an array .* got \\[\\[1.0"),
        ({"img_shape": [480, 0]}, r"img_shape must be \(height, width\); got \[480, 0"),
    ],
)  # fmt: skip
def test_a_wrong_annotation_is_named(tmp_path, change, message):
    found = annotated(3)
    found[1] |= change
    with pytest.raises(ValueError, match=rf"v_1: .*{message}") as caught:
        read_annotations(dump(tmp_path / "a.pkl", found), COCO)
    assert len(str(caught.value)) < 500
    assert len(read_annotations(tmp_path / "a.pkl", COCO, skip_bad=True)[0]) == 2


def test_a_missing_keypoint_names_the_fields_that_are_there(tmp_path):
    found = annotated(2)
    del found[0]["keypoint"]
    with pytest.raises(ValueError, match="got none among the fields 'frame_dir', 'lab"):
        read_annotations(dump(tmp_path / "a.pkl", found), COCO)


def test_nones_arrays_and_sets_that_say_the_same_are_read(tmp_path, monkeypatch):
    plain, _ = read_annotations(dump(tmp_path / "a.pkl", annotated(4)), COCO)
    found = annotated(4, total_frames=None)
    for one in found:
        one["label"] = np.array([one["label"]])
    split = {"a": {"v_1", "v_0"}, "b": ("v_2",), "c": np.array(["v_3"])}
    content = {"split": split, "annotations": found}
    monkeypatch.setattr(pyskl, "load_pickle", lambda path: content)
    clips, splits = read_annotations(tmp_path / "a.pkl", COCO)
    np.testing.assert_array_equal(clips.joints, plain.joints)
    np.testing.assert_array_equal(clips.labels, plain.labels)
    assert {k: v.tolist() for k, v in splits.items()} == {
        "a": [0, 1],
        "b": [2],
        "c": [3],
    }


def test_a_pickle_is_predicted_without_labels(tmp_path):
    found = annotated(3)
    for one in found:
        del one["label"]
    path = dump(tmp_path / "a.pkl", found)
    clips = read_clips(path, COCO)
    assert clips.class_names == ("unknown",)
    assert clips.names == tuple(f"{path}: v_{i}" for i in range(3))


# NTU's npz, and st-gcn's pairs.


def ntu_clips(count, seed):
    """[N, T, M, V, C], the last frames of each padding."""
    x = np.random.default_rng(seed).normal(size=(count, 8, 2, 25, 3)).astype(np.float32)
    x[:, 6:] = 0
    x[0, :, 1] = 0
    return x


def ntu_arrays(tested="test"):
    x, y = ntu_clips(4, 0), ntu_clips(3, 1)
    return {
        "x_train": x.reshape(4, 8, 150), "y_train": np.array([0, 3, 1, 1]),
        f"x_{tested}": y.reshape(3, 8, 150), f"y_{tested}": np.array([[2], [0], [1]]),
    }  # fmt: skip


@pytest.mark.parametrize("tested", ["test", "val"])
def test_numbers_as_labels_and_x_val(tmp_path, tested):
    np.savez(tmp_path / "a.npz", **ntu_arrays(tested))
    clips, [(train, test)] = ntu_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(clips.labels, [0, 3, 1, 1, 2, 0, 1])
    assert clips.class_names == ("A001", "A002", "A003", "A004")
    assert (len(train), len(test)) == (4, 3)
    np.testing.assert_array_equal(clips.clip(1)[0], ntu_clips(4, 0)[1, :6])


def test_x_val_beside_x_test_is_said_to_be_unused(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", **(ntu_arrays("val") | ntu_arrays()))
    ntu_npz(tmp_path / "a.npz")
    assert "x_val is not used" in capsys.readouterr().err


@pytest.mark.parametrize(
    "turn, axes", [((0, 4, 1, 3, 2), "ctvm"), ((0, 2, 1, 3, 4), "mtvc")]
)
def test_five_axes_of_an_npz(tmp_path, turn, axes):
    arrays = ntu_arrays()
    for part in ("train", "test"):
        x = arrays[f"x_{part}"].reshape(-1, 8, 2, 25, 3)
        arrays[f"x_{part}"] = x.transpose(turn)
    np.savez(tmp_path / "a.npz", **arrays)
    clips, _ = ntu_npz(tmp_path / "a.npz")
    assert clips.reading.axes == axes
    np.testing.assert_array_equal(clips.clip(1)[0], ntu_clips(4, 0)[1, :6])


def test_a_clip_without_persons_in_an_npz_can_be_skipped(tmp_path, capsys):
    arrays = ntu_arrays()
    arrays["x_train"][2] = 0
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match="train_00002: must have joints"):
        ntu_npz(tmp_path / "a.npz")
    clips, [(train, test)] = ntu_npz(tmp_path / "a.npz", skip_bad=True)
    assert clips.labels[train].tolist() == [0, 3, 1]
    assert clips.labels[test].tolist() == [2, 0, 1]
    assert "1 of 7 clips cannot be used" in capsys.readouterr().err


def test_confidences_in_an_npz(tmp_path):
    arrays = ntu_arrays()
    for name in ("x_train", "x_test"):
        x = arrays[name].reshape(-1, 8, 2, 25, 3)
        x[..., :2] *= 100
        x[..., 2] = np.where(x[..., 0] != 0, 0.9, 0)
    x[1, 2, 0, 7, 2] = 0.1
    np.savez(tmp_path / "a.npz", **arrays)
    clips, [(_, test)] = ntu_npz(tmp_path / "a.npz")
    assert clips.reading.channels == "xyc" and clips.joints.shape[-1] == 2
    mask = clips.clip(int(test[1]))[1]
    assert np.argwhere(~mask[:, 0]).tolist() == [[2, 7]]


def test_an_npz_is_predicted_without_labels(tmp_path):
    np.savez(tmp_path / "a.npz", x_test=ntu_arrays()["x_test"])
    clips = read_clips(tmp_path / "a.npz", NTU)
    assert len(clips) == 3 and clips.names[0].endswith("a.npz: test_00000")


def write_pair(folder, part, x, labels, end="_data"):
    np.save(folder / f"{part}{end}.npy", x.transpose(0, 4, 1, 3, 2))
    names = [f"{part}_{i}.skeleton" for i in range(len(x))]
    dump(folder / f"{part}_label.pkl", (names, labels))


@pytest.mark.parametrize("end", ["_data", "_data_joint"])
@pytest.mark.parametrize("by_folder", [True, False])
def test_pairs_of_st_gcn(tmp_path, by_folder, end):
    write_pair(tmp_path, "train", ntu_clips(4, 0), [0, 1, 1, 0], end)
    write_pair(tmp_path, "val", ntu_clips(3, 1), np.array([1, 0, 2]), end)
    where = {"path": str(tmp_path)} if by_folder else {
        "train_path": str(tmp_path / f"train{end}.npy"),
        "test_path": str(tmp_path / f"val{end}.npy"),
    }  # fmt: skip
    parts = parts_of(name="stgcn", layout="ntu25", **where)
    assert sizes(parts) == (4, 3)
    np.testing.assert_array_equal(parts["test"].labels, [1, 0, 2])
    np.testing.assert_array_equal(parts["train"].clip(1)[0], ntu_clips(4, 0)[1, :6])
    assert parts["test"].names[0] == "val_0.skeleton"
    found = read_clips(tmp_path / f"val{end}.npy", NTU)
    np.testing.assert_array_equal(found.clip(1)[0], ntu_clips(3, 1)[1, :6])


@pytest.mark.parametrize(
    "content, message",
    [
        (3, r"train_label\.pkl: must be \(names, labels\); got 3"),
        ((["a"], [0]), "names must be a list of the 4 clips"),
        ((list("abcd"), [0, 0, 0, -1]), "clip 3 must have .* got 'd', -1"),
    ],
)
def test_a_wrong_label_file_is_named(tmp_path, content, message):
    write_pair(tmp_path, "train", ntu_clips(4, 0), [0] * 4)
    write_pair(tmp_path, "test", ntu_clips(3, 1), [0] * 3)
    dump(tmp_path / "train_label.pkl", content)
    with pytest.raises(ValueError, match=message):
        parts_of(name="stgcn", layout="ntu25", path=str(tmp_path))


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"axes": "tvmc"},
            "data.axes must be one of auto, tmvc, ctvm, mtvc; got 'tvmc'",
        ),
        ({"channels": "xycz"}, "data.channels must be one of auto, xy, xyc, xyz, xyzc"),
        ({"least_confidence": 1.5}, "data.least_confidence must be within 0..1, or -1"),
        (
            {"name": "pickle", "train_path": "a"},
            "data.train_path must come together with data.test_path",
        ),
        ({"train_path": "a", "test_path": "b"}, "come together .*pickle or stgcn"),
    ],
)
def test_settings_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**options)


def test_classes_without_a_clip_to_train_on_are_told(tmp_path, capsys):
    """Labels that count from 1 make a class 0 that nobody meant."""
    found = annotated(6)
    for one in found:
        one["label"] += 1
    names = [one["frame_dir"] for one in found]
    split = {"train": names[:4], "test": names[4:]}
    path = dump(tmp_path / "a.pkl", {"split": split, "annotations": found})
    parts_of(name="pickle", path=path)
    assert "1 of 3 classes have no clip to train on: 0. Its labels" in (
        capsys.readouterr().err
    )
