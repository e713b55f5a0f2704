"""Annotated skeletons in pickles: what is read, and that nothing in them is run."""

import os
import pickle
import pickletools

import numpy as np
import pytest

from gpsattn_jax.data.files.pickles import read_pickle
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.data.skeletons.reading import Reading

COCO = LAYOUTS["coco17"]
PROTOCOLS = range(6)


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.made = function, arguments, state

    def __reduce__(self):
        return self.made


def annotated(count=3, dimensions=2, dtype=np.float16):
    """What mmaction2 writes: half precision, and one to three persons."""
    draw = np.random.default_rng(0)
    return [
        {
            "frame_dir": f"v_{i}",
            "label": i % 2,
            "img_shape": (240, 320),
            "original_shape": (240, 320),
            "total_frames": 4 + i,
            "keypoint": (
                draw.uniform(1, 200, (1 + i, 4 + i, 17, dimensions)).astype(dtype)
            ),
            "keypoint_score": draw.uniform(0.1, 1, (1 + i, 4 + i, 17)).astype(dtype),
        }
        for i in range(count)
    ]


def write_pickle(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def old_names(content):
    """The same pickle as NumPy 1 writes it, without frames."""
    frames = [p for code, _, p in pickletools.genops(content) if code.name == "FRAME"]
    for place in reversed(frames):
        content = content[:place] + content[place + 9 :]
    for module in (b"multiarray", b"numeric"):
        new, old = b"numpy._core." + module, b"numpy.core." + module
        content = content.replace(
            b"\x8c%c" % len(new) + new, b"\x8c%c" % len(old) + old
        )
        content = content.replace(new, old)
    return content


VALUES = {
    "half": np.linspace(0, 1, 24, dtype=np.float16).reshape(2, 3, 4),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "every other": np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::2],
    "big endian": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 17, 2)),
    "flat": np.array(3.5),
    "truth": np.array([True, False]),
    "texts": np.array(["a", "bcd"]),
}


@pytest.mark.parametrize("numpy_1", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_come_back(tmp_path, protocol, numpy_1):
    content = VALUES | {
        "plain": [1, -(2**70), 2.5, "é", None, True, b"\x00\xff", b"", (1, (2, 3)), {}],
        "scalars": [np.float32(0.5), np.int64(-7), np.bool_(True), np.str_("x")],
    }
    path = write_pickle(tmp_path / "a.pkl", content, protocol)
    if numpy_1:
        path.write_bytes(old_names(path.read_bytes()))
        assert b"numpy._core" not in path.read_bytes()
    found = read_pickle(path)
    assert found["plain"] == content["plain"] and found["scalars"] == content["scalars"]
    for name, array in VALUES.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "function, arguments, name",
    [
        (os.system, ("touch ran",), f"{os.system.__module__}.system"),
        (eval, ("open('ran', 'w')",), "eval"),
        (exec, ("open('ran', 'w')",), "exec"),
        (open, ("ran", "w"), "open"),
        (getattr, ("a", "upper"), "getattr"),
        (np.load, ("ran",), "numpy.load"),
        (np.fromfile, ("ran",), "fromfile"),
    ],
)
def test_code_is_refused(
    tmp_path, monkeypatch, protocol, function, arguments, name
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    content = {"annotations": annotated(), "split": Call(function, *arguments)}
    path = write_pickle(tmp_path / "a.pkl", content, protocol)
    message = rf"a\.pkl: must be .* it holds .*{name}, which might run code"
    with pytest.raises(ValueError, match=message):
        read_annotations(path, COCO)
    assert not (tmp_path / "ran").exists()


ROOMY = b"0" * 10_000
RECONSTRUCT = np.zeros(1).__reduce__()[0]
FROMBUFFER = np.zeros(1).__reduce_ex__(5)[0]
FLOAT, BYTE = np.dtype("f8"), np.dtype("u1")


@pytest.mark.parametrize(
    "content, message",
    [
        (np.array([{}, None]), "its arrays must be numbers or texts; got 'O8'"),
        (np.array([(1, 2)], "i4,f4"), "its arrays must be numbers or texts; got 'V8'"),
        (np.zeros(1, "M8[s]"), "its arrays must be numbers or texts; got 'M8'"),
        (
            Call(FROMBUFFER, b"12345678", FLOAT, (10**12,), "C"),
            r"its array of shape \(1000000000000,\) must have 8000000000000 bytes",
        ),
        (
            Call(
                RECONSTRUCT, np.ndarray, (0,), b"b",
                state=(1, (10**12,), FLOAT, False, b"12345678"),
            ),
            r"its array of shape \(1000000000000,\) must have",
        ),
        (Call(FROMBUFFER, b"1234", FLOAT, (-1,), "C"), "without a shape or a type"),
        (Call(FROMBUFFER, b"1234", "f4", (1,), "C"), "without a shape or a type"),
        (
            [Call(FROMBUFFER, ROOMY, BYTE, (10_000,), "C") for _ in range(99)],
            "its arrays together must be no larger than the file",
        ),
        (Call(np.ndarray, (10**9,)), "it makes an array of nothing"),
        ({frozenset([1])}, "a set has a member of type set"),
        (object, "it holds builtins.object, which might run code"),
    ],
)  # fmt: skip
def test_what_is_no_plain_array_is_refused(tmp_path, content, message):
    path = write_pickle(tmp_path / "a.pkl", content)
    with pytest.raises(ValueError, match=rf"a\.pkl: .*{message}"):
        read_pickle(path)


@pytest.mark.parametrize(
    "program, message",
    [
        (b"Nr\xff\xff\xff\x7f.", "stores at 2147483647, beyond the file's"),
        (b"Np2147483647\n.", "stores at 2147483647"),
        (b")" + b"\x85" * 100_000 + b".", "it is nested more than 100 deep"),
        (b"}(" + b")" + b"\x85" * 100_000 + b"Nu.", "it is nested more than 100 deep"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.", ""),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\x0f.", ""),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x0fN.", ""),
        (b"cnumpy\nndarray\n}b.", "it fills what is no new dict"),
        (b"cnumpy\nndarray\n(N}tb.", "it fills what is no new dict"),
        (b"cnumpy\nndarray\n)\x81.", "it makes an array of nothing"),
        (b"(cnumpy\nndarray\no.", "it has the pickle instruction OBJ"),
        (b"(inumpy\nndarray\n.", "it has the pickle instruction INST"),
        (b"\x82\x01.", "it has the pickle instruction EXT1"),
        (b"Pa\n.", "it has the pickle instruction PERSID"),
        (b"\x97.", "it has the pickle instruction NEXT_BUFFER"),
        (b"R.", ""),
        (b"0.", ""),
        (b"(.", ""),
        (b"", ""),
        (b"no pickle at all", ""),
    ],
)
def test_hand_made_programs_are_refused(tmp_path, program, message):
    path = tmp_path / "a.pkl"
    path.write_bytes(program)
    with pytest.raises(ValueError, match=rf"a\.pkl: must be a pickle.*{message}"):
        read_pickle(path)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_cut_or_changed_files_raise_value_errors_alone(tmp_path, protocol):
    path = write_pickle(tmp_path / "a.pkl", {"annotations": annotated(1)}, protocol)
    whole, draw = path.read_bytes(), np.random.default_rng(protocol)
    for end in draw.integers(0, len(whole), 60):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"a\.pkl: "):
            read_annotations(path, COCO)
    for _ in range(150):
        changed = bytearray(whole)
        for place in draw.integers(0, len(whole), 3):
            changed[place] = draw.integers(256)
        path.write_bytes(changed)
        try:
            read_annotations(path, COCO)
        except ValueError as error:
            assert "a.pkl" in str(error) or "v_" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_clips_and_splits(tmp_path, protocol):
    found = annotated()
    split = {"train": ["v_2", "v_0"], "val": ["v_1", "v_9"]}
    path = write_pickle(
        tmp_path / "a.pkl", {"split": split, "annotations": found}, protocol
    )
    clips, splits = read_annotations(path, COCO, class_names=["run", "walk"])
    assert clips.names == ("v_0", "v_1", "v_2") and clips.class_names == ("run", "walk")
    np.testing.assert_array_equal(clips.labels, [0, 1, 0])
    assert {part: list(places) for part, places in splits.items()} == {
        "train": [2, 0], "val": [1]
    }  # fmt: skip
    for place, content in enumerate(found):
        joints, mask = clips.clip(place)
        persons = place + 1
        assert joints.shape == (4 + place, 3, 17, 2)
        assert mask[:, :persons].all() and not mask[:, persons:].any()
        pixels = content["keypoint"].swapaxes(0, 1).astype(np.float32)
        expected = (pixels - [160, 120]) / 160
        np.testing.assert_allclose(joints[:, :persons], expected, atol=1e-6)


def test_scores_and_zeros_mask(tmp_path):
    found = annotated()
    found[0]["keypoint_score"][0, 1, 5] = 0.05
    found[0]["keypoint"][0, 2, 6] = 0
    del found[1]["keypoint_score"]
    found[1]["keypoint"][0, 3, 7] = 0
    path = write_pickle(tmp_path / "a.pkl", {"annotations": found})
    clips, splits = read_annotations(path, COCO, reading=Reading(least_confidence=0.08))
    assert splits == {}
    assert np.argwhere(~clips.clip(0)[1][:, :1]).tolist() == [[1, 0, 5], [2, 0, 6]]
    assert np.argwhere(~clips.clip(1)[1][:, :2]).tolist() == [[3, 0, 7]]
    assert not clips.joints[~clips.mask].any()


def test_the_older_list_in_three_dimensions(tmp_path):
    found = annotated(dimensions=3)
    for annotation in found:
        del annotation["keypoint_score"], annotation["total_frames"]
        annotation["filename"] = annotation.pop("frame_dir")
    clips, splits = read_annotations(write_pickle(tmp_path / "a.pkl", found), COCO)
    assert splits == {} and clips.class_names == ("0", "1")
    pixels = found[0]["keypoint"].swapaxes(0, 1).astype(np.float32)
    np.testing.assert_array_equal(
        clips.clip(0)[0][:, :1], pixels
    )  # not in pixels: unchanged


@pytest.mark.parametrize(
    "change, message",
    [
        ({"frame_dir": 3}, "annotation 0: frame_dir must be a text; got 3"),
        ({"frame_dir": "v_1"}, "v_1: clips must differ in name"),
        ({"label": -1}, "v_0: label must be a whole number in"),
        ({"label": 10**12}, "v_0: label must be a whole number in"),
        ({"label": "run"}, "v_0: label must be a whole number in .* got 'run'"),
        ({"keypoint": None}, "v_0: keypoint must be an array .* got none among the"),
        ({"keypoint": 3}, "v_0: keypoint must be an array of numbers of 4 axes; got 3"),
        ({"keypoint": np.ones((4, 17, 2))}, "v_0: keypoint must be .* 4 axes"),
        ({"keypoint": [[[[1.0, 2.0]]]]}, "v_0: keypoint must be an array of numbers"),
        ({"keypoint": np.ones((1, 4, 25, 2))}, "v_0: keypoint_score must be"),
        ({"total_frames": 9}, "v_0: keypoint must have total_frames=9 .* got 4"),
        ({"keypoint_score": np.ones((1, 4))}, "v_0: keypoint_score must be an array"),
        ({"img_shape": (240,)}, r"v_0: img_shape must be \(height, width\)"),
        ({"img_shape": "big"}, "v_0: img_shape must be"),
        ({"keypoint_score": np.zeros((1, 4, 17))}, "v_0: must have joints; got none"),
        (
            {"keypoint": np.ones((1, 4, 25, 2)), "keypoint_score": None},
            "v_0: must have the 17 joints of layout coco17; got 25",
        ),
        (
            {"keypoint": np.ones((1, 4, 17, 3))},
            "v_0: must have 2 coordinates a joint, .* got 3",
        ),
    ],
)
def test_a_wrong_annotation_is_named(tmp_path, change, message):
    found = annotated()
    found[0] |= change
    path = write_pickle(tmp_path / "a.pkl", {"annotations": found})
    with pytest.raises(ValueError, match=message):
        read_annotations(path, COCO)


@pytest.mark.parametrize(
    "content, message",
    [
        ([], "must be annotations"),
        ({"split": {}}, "must be annotations"),
        (3, "must be annotations"),
        ([1], "1 of 1 clips cannot be used:\n  annotation 0: must be a dict; got 1"),
        ({"annotations": annotated(), "split": {"train": 3}}, "split 'train' must be"),
        (
            {"annotations": annotated(), "split": {"train": [[]]}},
            "split 'train' must be",
        ),
    ],
)
def test_a_pickle_of_something_else(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"a\.pkl: {message}"):
        read_annotations(write_pickle(tmp_path / "a.pkl", content), COCO)


def test_labels_beyond_the_users_names(tmp_path):
    path = write_pickle(tmp_path / "a.pkl", annotated())
    with pytest.raises(ValueError, match=r"v_1: label must be in 0\.\.0; got 1"):
        read_annotations(path, COCO, class_names=["run"])


def test_one_array_for_many_clips_does_not_fill_the_memory(tmp_path):
    shared = np.ones((1, 2000, 17, 2), np.uint8)
    found = [{"frame_dir": str(i), "label": 0, "keypoint": shared} for i in range(50)]
    path = write_pickle(tmp_path / "a.pkl", found)
    with pytest.raises(ValueError, match="clips must be no larger than the file"):
        read_annotations(path, COCO)


def test_a_pickle_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such pickle"):
        read_annotations(tmp_path / "a.pkl", COCO)


def test_a_split_names_each_clip_once(tmp_path):
    content = {"annotations": annotated(), "split": {"train": ["v_0", "v_1", "v_0"]}}
    path = write_pickle(tmp_path / "a.pkl", content)
    with pytest.raises(ValueError, match="split 'train' must name each .* repeats v_0"):
        read_annotations(path, COCO)


def test_nan_joints_and_frames_of_nobody_are_hidden(tmp_path):
    found = annotated(1, dtype=np.float32)
    del found[0]["keypoint_score"]
    found[0]["keypoint"][0, 0] = 0
    found[0]["keypoint"][0, 2, 5] = np.nan
    clips, _ = read_annotations(write_pickle(tmp_path / "a.pkl", found), COCO)
    joints, mask = clips.clip(0)
    assert not mask[0].any() and mask[1].all() and mask[3].all()
    assert np.argwhere(~mask[2]).tolist() == [[0, 5]]
    assert np.isfinite(joints).all()
