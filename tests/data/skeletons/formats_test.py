"""Clips in the files of OpenPose, AlphaPose, Kinetics-skeleton and NTU RGB+D."""

import json

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_files import find_clips
from gpsattn_jax.data.skeletons.clip_folder import read_clip, read_clips, read_folder
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.persons import stack_persons
from gpsattn_jax.data.skeletons.reading import Reading

COCO, BODY_25, NTU = LAYOUTS["coco17"], LAYOUTS["openpose25"], LAYOUTS["ntu25"]


def person(seed=0, joints=17, score=0.9):
    """[V, 3]: pixels and a confidence."""
    flat = np.random.default_rng(seed).uniform(20, 480, (joints, 2))
    return np.concatenate([flat, np.full((joints, 1), score)], -1)


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def openpose(folder, frames, begin="video", **more):
    """One file for each frame, of lists of persons."""
    for number, people in frames.items():
        listed = [{"person_id": [-1], "pose_keypoints_2d": one.reshape(-1).tolist()}
                  | more for one in people]  # fmt: skip
        content = {"version": 1.3, "people": listed}
        save(folder / f"{begin}_{number:012d}_keypoints.json", content)
    return folder


def test_a_folder_of_openpose(tmp_path):
    one, two = person(1, 25), person(2, 25)
    one[3, 2], one[4] = 0.2, 0
    openpose(tmp_path / "v", {5: [one], 6: [one, two], 8: [two]})
    clip = read_clip(tmp_path / "v", BODY_25)
    assert clip.joints.shape == (4, 2, 25, 2)
    np.testing.assert_array_equal(
        clip.mask.all(-1) | clip.mask.any(-1),
        [[True, False], [True, True], [False, False], [True, False]],
    )
    assert np.flatnonzero(~clip.mask[0, 0]).tolist() == [3, 4]
    np.testing.assert_allclose(clip.joints[1, 1], two[:, :2], rtol=1e-6)
    every = read_clip(tmp_path / "v", BODY_25, Reading(least_confidence=0.1))
    assert np.flatnonzero(~every.mask[0, 0]).tolist() == [4]


def test_names_of_openpose_s_clips(tmp_path):
    for name in ("a", "b"):
        openpose(tmp_path / name, {0: [person()]}, begin="same")
        openpose(tmp_path / "together", {0: [person()]}, begin=name)
    openpose(tmp_path, {0: [person()]}, begin="top")
    names = {"a", "b", "together/a", "together/b", "top"}
    assert set(find_clips(tmp_path)) == names
    rows = "".join(f"{name},x\n" for name in sorted(names))
    (tmp_path / "labels.csv").write_text("name,label\n" + rows)
    clips, _ = read_folder(tmp_path, COCO)
    assert len(clips) == 5
    assert [name.removeprefix(f"{tmp_path}/") for name in clips.names] == sorted(names)


def test_openpose_in_space(tmp_path):
    deep = np.concatenate([person()[:, :2], np.ones((17, 1)), person()[:, 2:]], -1)
    people = [{"pose_keypoints_2d": [], "pose_keypoints_3d": deep.reshape(-1).tolist()}]
    path = save(tmp_path / "v_0_keypoints.json", {"people": people})
    np.testing.assert_allclose(
        read_clip(path, COCO).joints[0, 0], deep[:, :3], rtol=1e-6
    )


def kinetics(frames):
    data = [
        {
            "frame_index": number,
            "skeleton": [
                {"pose": one[:, :2].reshape(-1).tolist(), "score": one[:, 2].tolist()}
                for one in people
            ],
        }
        for number, people in frames.items()
    ]
    return {"data": data, "label": "wave", "label_index": 3}


def test_kinetics_skeleton(tmp_path):
    one = person(1)
    one[2, 2] = 0.1
    path = save(tmp_path / "a.json", kinetics({1: [one], 2: [], 3: [one, person(2)]}))
    clip = read_clip(path, COCO)
    assert clip.joints.shape == (3, 2, 17, 2)
    assert clip.mask.any(-1).tolist() == [[True, False], [False] * 2, [True, True]]
    assert np.flatnonzero(~clip.mask[0, 0]).tolist() == [2]
    np.testing.assert_allclose(clip.joints[2, 1], person(2)[:, :2], rtol=1e-6)


def test_alphapose_keeps_persons_by_their_identity(tmp_path):
    first, second = person(1), person(2)

    def entry(image, joints, who):
        flat = joints.reshape(-1).tolist()
        return {"image_id": image, "category_id": 1, "keypoints": flat, "idx": who}

    rows = [entry("0.jpg", first, 1), entry("0.jpg", second, 2)]
    rows += [
        entry("1.jpg", second, 2),
        entry("10.jpg", second, 2),
        entry("2.jpg", first, 7),
    ]
    clip = read_clip(save(tmp_path / "alphapose-results.json", rows), COCO)
    assert clip.joints.shape == (11, 2, 17, 2)
    np.testing.assert_allclose(clip.joints[1, 1], second[:, :2], rtol=1e-6)
    np.testing.assert_allclose(clip.joints[10, 1], second[:, :2], rtol=1e-6)
    np.testing.assert_allclose(clip.joints[2, 0], first[:, :2], rtol=1e-6)
    assert not clip.mask[1, 0].any() and not clip.mask[3:10].any()


def test_alphapose_by_image(tmp_path):
    flat = person().reshape(-1).tolist()
    cmu = {"b.jpg": {"bodies": [{"joints": flat}]}, "a.jpg": {"bodies": []}}
    opened = {"0.jpg": {"people": [{"pose_keypoints_2d": flat}]}}
    clip = read_clip(save(tmp_path / "cmu.json", cmu), COCO)
    assert clip.mask.any((1, 2)).tolist() == [True, False]  # in the file's order
    assert read_clip(save(tmp_path / "open.json", opened), COCO).mask.all()


def skeleton_text(frames):
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for who, joints in bodies:
            lines += [f"{who} 0 1 1 1 1 0 0.02 -0.2 2", str(len(joints))]
            lines += [" ".join(map(str, [*joint, *[0.5] * 8, 2])) for joint in joints]
    return "\n".join(lines) + "\n"


def test_ntu_skeleton(tmp_path):
    draw = np.random.default_rng(0)
    one, two = draw.normal(size=(2, 25, 3)).round(4)
    text = skeleton_text([[("72", one)], [], [("72", one), ("99", two)], [("99", two)]])
    text = text.replace(" 2\n", " 0\n", 2).replace("-0.2 0\n", "-0.2 2\n")
    path = tmp_path / "S001C001P001R001A001.skeleton"
    path.write_text(text)
    clip = read_clip(path, NTU)
    assert clip.joints.shape == (4, 2, 25, 3)
    assert clip.mask.any(-1).tolist() == [
        [True, False], [False, False], [True, True], [False, True]
    ]  # fmt: skip
    assert np.flatnonzero(~clip.mask[0, 0]).tolist() == [0]  # not tracked
    np.testing.assert_allclose(clip.joints[3, 1], two, rtol=1e-6)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.json", "{", "must be JSON"),
        ("a.json", "[" * 100_000, "must be JSON; got lists too deep"),
        ("a.json", "{}", "must be poses: .* got the fields none"),
        ("a.json", "[]", "must have frames; got none"),
        ("a.json", '[{"image_id": 0}]', "entry 0: must have image_id and keypoints"),
        ("a.json", '[{"image_id": 0, "keypoints": [1]}]', "keypoints must be 51 num"),
        ("a.json", '[{"image_id": [], "keypoints": []}]', "image_id must be a text"),
        ("a.json", '{"data": [3]}', "data 0: must have a list skeleton; got 3"),
        ("a.json", '{"data": [{"skeleton": [], "frame_index": 1.5}]}', "frame_index"),
        ("a.json", '{"data": [{"skeleton": []}]}', "must have persons; got none"),
        ("a.json", '{"data": [{"skeleton": [{}]}]}', "must have pose and score"),
        ("a.json", '{"people": 3}', "must be a frame of OpenPose with a list people"),
        ("a.json", '{"people": [{}]}', "people 0: must have pose_keypoints_2d"),
        ("a.json", '{"0": {"bodies": [3]}}', "joints must be 51 numbers"),
        ("a.skeleton", "", "line 1 must be the number of frames; the file ends"),
        ("a.skeleton", "2\n", "line 1 must be the number of frames.*; got '2'"),
        ("a.skeleton", "1\n999\n", "line 2 must be the number of bodies, at most 100"),
        ("a.skeleton", "1\n1\n7 0\n17\n1 2 x\n", "joint that begins .* got '1 2 x'"),
        ("a.skeleton", "1\n1\n7 0\n25\n", "must have the 17 joints of layout coco17"),
        ("a.skeleton", "1\n0\n", "must have persons; got none in 1 frames"),
        ("a.skeleton", b"\xff", "must be text"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, name, content, message):
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ValueError, match=rf"{name}: .*{message}") as caught:
        read_clip(tmp_path / name, COCO)
    assert len(str(caught.value)) < 600


def test_numbers_that_overflow_are_missing_joints(tmp_path):
    content = kinetics({0: [person()]})
    content["data"][0]["skeleton"][0]["pose"][0] = 10**400
    content["data"][0]["skeleton"][0]["pose"][2] = 1e300
    clip = read_clip(save(tmp_path / "a.json", content), COCO)
    assert np.flatnonzero(~clip.mask[0, 0]).tolist() == [0, 1]


def test_few_bytes_do_not_make_many_frames_or_persons(tmp_path):
    one = [(None, np.ones((17, 3)))]
    with pytest.raises(ValueError, match="frames must follow each other"):
        stack_persons("a", {0: one, 10**9: one}, (17, 3))
    with pytest.raises(ValueError, match="at most 100 persons at once; got 5000"):
        stack_persons("a", {0: one * 5000}, (17, 3))
    tracks = {n: [(n, np.ones((17, 3)))] for n in range(3000)}
    assert stack_persons("a", tracks, (17, 3)).shape == (3000, 1, 17, 3)


def test_a_folder_of_mixed_formats_is_predicted(tmp_path):
    openpose(tmp_path / "a", {0: [person()]})
    save(tmp_path / "b.json", kinetics({0: [person()]}))
    save(tmp_path / "layout.json", {"edges": [[0, 1]]})
    np.save(tmp_path / "c.npy", person()[None, :, :2])
    clips = read_clips(tmp_path, COCO)
    assert [name.rsplit("/", 1)[1] for name in clips.names] == ["b.json", "c.npy", "a"]
    np.testing.assert_allclose(clips.joints[0], clips.joints[2], rtol=1e-6)


@pytest.mark.parametrize("names", ["landmark", "wide"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_mediapipe_s_own_names(tmp_path, names, delimiter):
    layout = LAYOUTS["mediapipe33"]
    own = [name.upper() for name in layout.joints]
    own[9:11] = ["MOUTH_LEFT", "MOUTH_RIGHT"]
    joints = np.random.default_rng(0).normal(size=(4, 33, 3)).round(5)
    if names == "wide":
        rows = [[f"{name}_{axis}" for name in own for axis in ("x", "y", "z")]]
        rows += [list(map(str, frame.reshape(-1))) for frame in joints]
    else:
        rows = [["timestamp_ms", "landmark", "x", "y", "z"]]
        for time, frame in zip((0, 33, 66, 133), joints, strict=True):
            rows += [[str(time), name, *map(str, joint)]
                     for name, joint in zip(own, frame, strict=True)]  # fmt: skip
    text = "\n".join(delimiter.join(row) for row in rows)
    text = text.replace(".", ",") if delimiter == ";" else text
    (tmp_path / "a.csv").write_text(text)
    clip = read_clip(tmp_path / "a.csv", layout)
    there = [0, 1, 2, 3] if names == "wide" else [0, 1, 2, 4]  # none at 100 ms
    np.testing.assert_allclose(clip.joints[there, 0], joints, rtol=1e-6)
    assert len(clip.joints) == there[-1] + 1


def test_the_columns_that_were_found_are_listed(tmp_path):
    (tmp_path / "a.csv").write_text("time,nose_u,nose_w\n0,1,2\n")
    with pytest.raises(ValueError, match="0 joints in time, nose_u, nose_w"):
        read_clip(tmp_path / "a.csv", COCO)
    (tmp_path / "a.csv").write_text("landmark,x,y\n0,1,2\n")
    with pytest.raises(ValueError, match="frame, or a time .* got landmark, x, y"):
        read_clip(tmp_path / "a.csv", COCO)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    """Whether or not names have leading zeros, and from whatever number on."""
    for first, begin in ((0, ""), (1, "video_"), (100, "a.b_2_")):
        folder = tmp_path / str(first)
        for number in range(12):
            one = person(number, 25)
            one[:, 0] = 100 + number
            content = {"people": [{"pose_keypoints_2d": one.reshape(-1).tolist()}]}
            save(folder / f"{begin}{first + number}_keypoints.json", content)
        clip = read_clip(folder, BODY_25)
        np.testing.assert_allclose(clip.joints[:, 0, 0, 0], 100 + np.arange(12))


def test_frames_of_kinetics_in_any_order_from_one(tmp_path):
    order = [3, 1, 2, 12, 11, 10, 4, 5, 6, 7, 8, 9]
    data = [
        {
            "frame_index": number,
            "skeleton": [{"pose": [0.1 + number / 100, 0.5] * 18, "score": [0.9] * 18}],
        }
        for number in order
    ]
    clip = read_clip(save(tmp_path / "k.json", {"data": data}), LAYOUTS["openpose18"])
    np.testing.assert_allclose(
        clip.joints[:, 0, 0, 0], 0.1 + np.arange(1, 13) / 100, rtol=1e-6
    )
