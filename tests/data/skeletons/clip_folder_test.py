"""A user's own clips: folders, labels and CSV files of landmarks."""

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_folder import read_clip, read_folder
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.mediapipe_csv import read_landmarks

HAND = LAYOUTS["hand21"]


def moving(frames=3, persons=None, dimensions=3, seed=0):
    shape = (frames, 21, dimensions)
    shape = shape if persons is None else (frames, persons, 21, dimensions)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def fill(folder, table="name,label\na,wave\nb,bow\nsub/c,wave\n"):
    np.save(folder / "a.npy", moving(3))
    np.savez(folder / "b.npz", joints=moving(4, persons=2))
    (folder / "sub").mkdir()
    np.save(folder / "sub" / "c.npy", moving(5, persons=1))
    (folder / "labels.csv").write_text(table)
    return folder


def test_a_folder_of_clips(tmp_path):
    clips, splits = read_folder(fill(tmp_path), HAND)
    assert splits == {}
    assert clips.class_names == ("bow", "wave")
    np.testing.assert_array_equal(clips.labels, [1, 0, 1])
    assert [name.removeprefix(str(tmp_path)) for name in clips.names] == [
        "/a.npy", "/b.npz", "/sub/c.npy"
    ]  # fmt: skip
    assert clips.joints.shape == (12, 2, 21, 3)
    np.testing.assert_array_equal(clips.clip(0)[0][:, 0], moving(3))
    assert not clips.clip(0)[1][:, 1].any() and clips.clip(1)[1].all()


def test_splits_numbers_suffixes_and_another_table(tmp_path):
    table = tmp_path / "table.csv"
    (tmp_path / "clips").mkdir()
    fill(tmp_path / "clips")
    table.write_text("name,label,split\na.npy,10,train\nb, 9 ,test\nsub/c,10,train\n")
    clips, splits = read_folder(tmp_path / "clips", HAND, table)
    assert clips.class_names == ("9", "10")
    np.testing.assert_array_equal(clips.labels, [1, 0, 1])
    assert {name: list(places) for name, places in splits.items()} == {
        "train": [0, 2], "test": [1]
    }  # fmt: skip


def test_masks_and_missing_joints(tmp_path):
    joints, mask = moving(4), np.ones((4, 21), bool)
    mask[1, 3] = False
    joints[0, 5] = np.nan
    joints[0, 6] = 0
    np.savez(tmp_path / "a.npz", joints=joints, mask=mask)
    found = read_clip(tmp_path / "a.npz", HAND)
    assert np.argwhere(~found.mask).tolist() == [[0, 0, 5], [1, 0, 3]]
    np.save(tmp_path / "a.npy", joints)
    found = read_clip(tmp_path / "a.npy", HAND)
    assert np.argwhere(~found.mask).tolist() == [[0, 0, 5], [0, 0, 6]]
    assert found.class_names == ("unknown",) and len(found) == 1


def test_folders_that_are_not_there_or_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        read_folder(tmp_path / "nowhere", HAND)
    with pytest.raises(FileNotFoundError, match="no clips there; looked for .npy"):
        read_folder(tmp_path, HAND)
    np.save(tmp_path / "a.npy", moving())
    with pytest.raises(FileNotFoundError, match=r"labels\.csv: no such table"):
        read_folder(tmp_path, HAND)
    with pytest.raises(FileNotFoundError, match=r"b\.npy: no such clip"):
        read_clip(tmp_path / "b.npy", HAND)


@pytest.mark.parametrize(
    "table, message",
    [
        ("name,label\na,x\nb,x\n", r"c\.npy: must have a label in .*labels\.csv"),
        (
            "name,label\na,x\nb,x\nsub/c,x\nd,x\n",
            r"labels\.csv: row 5: must name a clip .*'d'",
        ),
        (
            "name,label\na,x\na.npy,y\n",
            "row 3: clips must differ in name; got 'a' twice",
        ),
        ("name,label\na,x\nb,\n", r"labels\.csv: row 3 must have a name and a label"),
        ("name,label\na\n", "row 2 must have a name and a label"),
        ("clip,label\na,x\n", r"labels\.csv: must have the columns name, label"),
        ("", "must have the columns name, label"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        read_folder(fill(tmp_path, table), HAND)


def test_two_files_of_one_name(tmp_path):
    np.save(fill(tmp_path) / "b.npy", moving())
    with pytest.raises(ValueError, match=r"b\.npz: clips must differ.*b\.npy as well"):
        read_folder(tmp_path, HAND)


@pytest.mark.parametrize(
    "arrays, message",
    [
        (moving()[:, :20], "must have the 21 joints of layout hand21; got 20"),
        (moving(dimensions=2), "must have 3 coordinates a joint, .* got 2"),
        (moving() * np.nan, "must have joints; got none"),
        (moving(0), "must have frames"),
        (moving()[0], "joints must be numbers"),
        (
            np.array([{}, None]),
            "must be arrays of NumPy; got no such file, or one of pickled",
        ),
    ],
)
def test_a_wrong_clip_is_named(tmp_path, arrays, message):
    fill(tmp_path)
    np.save(tmp_path / "b.npy", arrays)
    (tmp_path / "b.npz").unlink()
    with pytest.raises(ValueError, match=rf"b\.npy: {message}"):
        read_folder(tmp_path, HAND)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.npy", b"no array", "must be arrays of NumPy"),
        ("a.npy", b"", "must be arrays of NumPy"),
        ("a.npz", b"PK\x03\x04 broken", "must be arrays of NumPy"),
        ("a.txt", b"", "must be one of .npy, .npz, .csv"),
    ],
)
def test_what_is_no_clip(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: {message}"):
        read_clip(tmp_path / name, HAND)


def test_an_archive_without_joints_or_cut_short(tmp_path):
    np.savez(tmp_path / "a.npz", points=moving())
    with pytest.raises(
        ValueError, match=r"a\.npz: must have .* joints, or x_test; .*points"
    ):
        read_clip(tmp_path / "a.npz", HAND)
    np.savez(tmp_path / "a.npz", joints=moving(50))
    whole = (tmp_path / "a.npz").read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "a.npz").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"a\.npz: must be arrays"):
            read_clip(tmp_path / "a.npz", HAND)


def wide(joints, visible=None, first=0):
    fields = "xyz"[: joints.shape[-1]] + ("" if visible is None else "v")
    header = [f"{f}{i + first}" for i in range(joints.shape[1]) for f in fields]
    values = (
        joints if visible is None else np.concatenate([joints, visible[..., None]], -1)
    )
    rows = [",".join(map(repr, frame.reshape(-1).tolist())) for frame in values]
    return "\n".join([",".join(header), *rows]) + "\n"


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_one_row_a_frame(tmp_path, first, dimensions):
    joints, visible = moving(4, dimensions=dimensions), np.ones((4, 21), np.float32)
    visible[2, 7] = 0.4
    path = tmp_path / "a.csv"
    path.write_text(wide(joints, visible, first))
    found, mask = read_landmarks(path, HAND)
    assert np.argwhere(~mask).tolist() == [[2, 7]]
    np.testing.assert_array_equal(found, np.where(mask[..., None], joints, 0))
    assert read_landmarks(path, HAND, visible=0.3)[1].all()
    path.write_text(wide(joints, None, first))
    np.testing.assert_array_equal(read_landmarks(path, HAND)[0], joints)


def test_one_landmark_a_row(tmp_path):
    joints = moving(5)
    rows = ["frame,landmark,x,y,z,visibility,hand"]
    for frame in (0, 1, 3, 4):  # nobody was found in frame 2
        for joint in range(21):
            name = HAND.joints[joint].upper() if frame == 3 else joint
            numbers = ",".join(map(repr, joints[frame, joint].tolist()))
            visibility = 0.1 if (frame, joint) == (1, 8) else 0.9
            rows.append(f"{frame + 100},{name},{numbers},{visibility},left")
    rows.append("")
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows))
    found, mask = read_landmarks(path, HAND)
    assert found.shape == (5, 21, 3)
    assert not mask[2].any() and not mask[1, 8] and mask.sum() == 4 * 21 - 1
    np.testing.assert_array_equal(found[mask], joints[mask])
    clip = read_clip(path, HAND)
    np.testing.assert_array_equal(clip.joints[:, 0], found)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must have a header and frames; got 0 rows"),
        ("x0,y0\n1,2\n", "must have the columns x0, y0, .* 21 joints .* got 1 joints"),
        ("frame,landmark,x\n0,0,1\n", "must have the column y"),
        ("frame,landmark,x,y\n0,0,1\n", "row 2 must have 4 cells; got 3"),
        ("frame,landmark,x,y\n0,21,1,1\n", r"row 2: landmark must be 0\.\.20 .* '21'"),
        ("frame,landmark,x,y\n0,knee,1,1\n", "row 2: landmark must .* got 'knee'"),
        ("frame,landmark,x,y\n0,0,1,one\n", "row 2: y must be a number; got 'one'"),
        ("frame,landmark,x,y\n0.5,0,1,1\n", r"row 2: frame must be a number; got 0\.5"),
        ("frame,landmark,x,y\ninf,0,1,1\n", "row 2: frame must be a number; got inf"),
        ("frame,landmark,x,y\n0,0,1,1\n99999,0,1,1\n", "frame must count frames"),
        (wide(moving(2)).replace("z3", "w3"), "must have the column z3"),
        ('x0,"y0\n', "must"),
    ],
)
def test_a_wrong_csv_is_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.csv: {message}"):
        read_landmarks(tmp_path / "a.csv", HAND)
