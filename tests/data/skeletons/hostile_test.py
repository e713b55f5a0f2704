"""Damaged and hostile files: one ValueError that names the file, at once and small."""

import io
import itertools
import json
import pickle
import time
import zipfile

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_folder import read_clip, read_clips, read_folder
from gpsattn_jax.data.skeletons.label_table import read_labels
from gpsattn_jax.data.skeletons.layouts import LAYOUTS, load_layout
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.data.skeletons.sets import load
from gpsattn_jax.data.skeletons.stgcn import read_stgcn
from gpsattn_jax.data.skeletons.stream import line_frames
from tests.data.skeletons.formats_test import kinetics, openpose, person, skeleton_text
from tests.data.skeletons.load_test import annotated, ntu_arrays, ntu_clips, write_pair

COCO, NTU = LAYOUTS["coco17"], LAYOUTS["ntu25"]


@pytest.fixture
def attacks(data_dir):
    folder = data_dir.parent / "cases" / "attacks"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def test_damaged_headers_of_arrays(attacks, tmp_path):
    for name in ("clip_npy-4c51ef89.npy", "clip_npz-6fc10513.npz"):
        with pytest.raises(ValueError, match=name):
            read_clip(attacks / name, COCO)
    with pytest.raises(ValueError, match=r"ntu_npz-6fc10513\.npz"):
        ntu_npz(attacks / "ntu_npz-6fc10513.npz")
    whole = (attacks / "set_npz-6fc10513.npz").read_bytes()
    (tmp_path / "utkinect.npz").write_bytes(whole)
    with pytest.raises(ValueError, match=r"utkinect\.npz"):
        load("utkinect", tmp_path)


def test_a_label_of_nested_lists_is_not_printed(attacks):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"skel-laughs-label\.pkl") as caught:
        read_clips(attacks / "skel-laughs-label.pkl", COCO)
    assert time.perf_counter() - start < 5 and len(str(caught.value)) < 1000


def test_a_nested_label_has_a_short_message(tmp_path):
    label = []
    for _ in range(40):
        label = [label, label]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(annotated(1, label=label)))
    message = r"a\.pkl: must be .* references to the same things make"
    with pytest.raises(ValueError, match=message):
        read_labelled(path)


def read_labelled(path):
    return read_annotations(path, COCO)


def test_a_clip_reads_no_array_that_it_does_not_need(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, joints=np.ones((3, 17, 2)), other=np.ones(4))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("broken.npy", b"no array")
    assert read_clip(path, COCO).mask.all()


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": (1_000_000, 17, 2)}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("joints.npy", header.getvalue() + b"\0" * 136_000_000)
    with pytest.raises(ValueError, match=r"array joints: .* bytes that unpack to"):
        read_clip(path, COCO)


@pytest.mark.parametrize(
    "table, message",
    [
        (
            'name,label\na,"' + "x" * 200_000 + '"\n',
            "must be a CSV file; got field lar",
        ),
        ("name,label\n" + ":" * 300 + "," + ":" * 300 + "\n", "must name a clip that"),
        ("name,label\n\0,\0\n", r"labels\.csv"),
        ("name,label\na," + "9" * 5000 + "\n", "2 clips|1 of 1|1 of 2"),
    ],
)
def test_odd_tables(tmp_path, table, message):
    np.save(tmp_path / "b.npy", np.ones((3, 17, 2)))
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        read_folder(tmp_path, COCO)


def test_landmarks_of_huge_fields(tmp_path):
    (tmp_path / "a.csv").write_text("frame,landmark,x,y\n0,0,1," + "9" * 200_000 + "\n")
    with pytest.raises(ValueError, match=r"a\.csv: must be a CSV file"):
        read_clip(tmp_path / "a.csv", COCO)
    (tmp_path / "a.csv").write_text("frame,landmark,x,y\n1e300,0,1,1\n0,0,1,1\n")
    with pytest.raises(ValueError, match=r"a\.csv: frame must count frames"):
        read_clip(tmp_path / "a.csv", COCO)


# Fuzzing: files of every kind, bytes or fields of which are changed. Either they are
# read, or one short ValueError names the file.


def _write(kind, folder):
    """A good file of a kind, and what reads it."""
    draw = np.random.default_rng(0)
    joints = draw.uniform(20, 480, (4, 17, 2)).astype(np.float32)
    if kind == "npy":
        np.save(folder / "a.npy", joints)
        return folder / "a.npy", lambda path: read_clip(path, COCO)
    if kind == "npz":
        np.savez(folder / "a.npz", joints=joints, mask=np.ones((4, 17), bool))
        return folder / "a.npz", lambda path: read_clip(path, COCO)
    if kind == "ntu":
        np.savez_compressed(folder / "a.npz", **ntu_arrays())
        return folder / "a.npz", ntu_npz
    if kind == "set":
        arrays = {"coords": draw.normal(size=(9, 20, 3)), "offsets": [0, 4, 9],
                  "labels": [0, 1], "subject": [1, 2], "names": ["a", "b"],
                  "tr_subjects": [[1]], "te_subjects": [[2]]}  # fmt: skip
        np.savez(folder / "utkinect.npz", **arrays)
        return folder / "utkinect.npz", lambda path: load("utkinect", path.parent)
    if kind == "pickle":
        split = {"train": ["v_0"], "test": ["v_1"]}
        content = {"split": split, "annotations": annotated(2)}
        (folder / "a.pkl").write_bytes(pickle.dumps(content))
        return folder / "a.pkl", read_labelled
    if kind == "stgcn":
        for part in ("train", "test"):
            write_pair(folder, part, ntu_clips(2, 0), [0, 1])
        train, test = folder / "train_data.npy", folder / "test_data.npy"
        return folder / "train_label.pkl", lambda _: read_stgcn(train, test, layout=NTU)
    if kind == "landmarks":
        rows = [f"{n},{joint},{n}.5,2.25,0.9" for n in range(3) for joint in range(17)]
        text = "\n".join(["frame,landmark,x,y,visibility", *rows])
        (folder / "a.csv").write_text(text)
        return folder / "a.csv", lambda path: read_clip(path, COCO)
    if kind == "wide":
        header = [
            f"nose_{axis}" if not n else f"{axis}{n}"
            for n in range(17)
            for axis in "xy"
        ]
        text = "\n".join([",".join(header), *[",".join(["1.5"] * 34)] * 3])
        (folder / "a.csv").write_text(text)
        return folder / "a.csv", lambda path: read_clip(path, COCO)
    if kind == "labels":
        (folder / "labels.csv").write_text(
            'name,label,split\na,"x, y",train\nb,2,test\n'
        )
        return folder / "labels.csv", lambda path: read_labels(path, [".npy"])
    if kind == "kinetics":
        (folder / "a.json").write_text(
            json.dumps(kinetics({1: [person()], 2: [person(2)]}))
        )
        return folder / "a.json", lambda path: read_clip(path, COCO)
    if kind == "alphapose":
        flat = person().reshape(-1).tolist()
        rows = [{"image_id": f"{n}.jpg", "keypoints": flat, "idx": n} for n in range(3)]
        (folder / "a.json").write_text(json.dumps(rows))
        return folder / "a.json", lambda path: read_clip(path, COCO)
    if kind == "openpose":
        openpose(folder / "v", {0: [person()], 1: [person(2)]})
        frame = folder / "v" / "video_000000000001_keypoints.json"
        return frame, lambda _: read_clip(folder / "v", COCO)
    if kind == "skeleton":
        joints = [("7", draw.normal(size=(25, 3)))]
        (folder / "a.skeleton").write_text(skeleton_text([joints] * 3))
        return folder / "a.skeleton", lambda path: read_clip(path, NTU)
    if kind == "layout":
        content = {"edges": [[0, 1], [1, 2]], "joints": ["a", "b", "c"], "root": "b",
                   "mirror": [["a", 2]], "anchors": [1]}  # fmt: skip
        (folder / "a.json").write_text(json.dumps(content))
        return folder / "a.json", load_layout
    rows = [json.dumps({"joints": joints[0].tolist(), "time": n}) for n in range(3)]
    (folder / "a.jsonl").write_text("\n".join(rows))

    def lines(path):
        return list(
            line_frames(path.read_bytes().splitlines(), COCO, 2, 9.0, path.name)
        )

    return folder / "a.jsonl", lines


KINDS = (
    "npy", "npz", "ntu", "set", "pickle", "stgcn", "landmarks", "wide", "labels",
    "kinetics", "alphapose", "openpose", "skeleton", "layout", "lines",
)  # fmt: skip
_WORDS = (
    b"[", b"]", b"{", b"}", b'"', b",", b":", b";", b"null", b"true", b"-1", b"1e999",
    b"9" * 400, b"NaN", b"\n", b"\0", b"\xff", b"[[[[", b"1e300", b"''", b"_x", b"y0",
)  # fmt: skip


def mutate(content, draw):
    """Bytes changed, cut out, doubled, or with words of the formats put in."""
    changed = bytearray(content)
    for _ in range(int(draw.integers(1, 4))):
        place = int(draw.integers(len(changed) + 1))
        end = place + int(draw.integers(1, 20))
        choice = draw.integers(5)
        if choice == 0 and place < len(changed):
            changed[place] = draw.integers(256)
        elif choice == 1:
            del changed[place:end]
        elif choice == 2:
            changed[place:place] = changed[place:end]
        elif choice == 3:
            del changed[place:]
        else:
            changed[place:place] = _WORDS[draw.integers(len(_WORDS))]
    return bytes(changed)


def fuzz(kind, folder, seeds):
    path, read = _write(kind, folder)
    read(path)
    whole, refused = path.read_bytes(), 0
    for seed in seeds:
        path.write_bytes(mutate(whole, np.random.default_rng(seed)))
        start = time.perf_counter()
        try:
            read(path)
        except ValueError as error:
            refused += 1
            assert path.name in str(error) or path.parent.name in str(error), error
            assert len(str(error)) < 2500
        assert time.perf_counter() - start < 5
    return refused


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_mutated_files(tmp_path, kind):
    assert fuzz(kind, tmp_path, range(25)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_mutated_files(tmp_path, kind):
    assert fuzz(kind, tmp_path, range(100, 600)) > 50


def test_odd_json_in_every_place(tmp_path):
    odd = [None, True, -1, 10**400, 1e300, "x" * 5000, [], {}, [[[[]]]], {"a": [1]}]
    for kind in ("kinetics", "alphapose", "openpose", "layout"):
        (tmp_path / kind).mkdir()
        path, read = _write(kind, tmp_path / kind)
        whole = path.read_text()
        for place, value in itertools.product(range(_places(json.loads(whole))), odd):
            content = json.loads(whole)
            _put(content, place, value)
            path.write_text(json.dumps(content))
            try:
                read(path)
            except ValueError as error:
                assert str(path.parent) in str(error) and len(str(error)) < 1000


def _places(content):
    return sum(1 for _ in _slots(content))


def _slots(content):
    """Where values stand: (container, key); of long lists the first three."""
    keys = list(content) if isinstance(content, dict) else range(min(3, len(content)))
    for key in keys:
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _slots(content[key])


def _put(content, place, value):
    container, key = next(itertools.islice(_slots(content), place, None))
    container[key] = value
