"""Damaged and hostile files of features, splits and annotations: one clear error.

The error names the file, memory stays as it was, and nothing outside the file is read.
"""

import json
import os
import pathlib
import random
import resource
import struct

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="needs h5py (extra: data)")

from gpsattn_jax.data.videos.annotations import read_annotations  # noqa: E402
from gpsattn_jax.data.videos.feature_files import (  # noqa: E402
    read_videos,
    write_videos,
)
from gpsattn_jax.data.videos.hdf5_heaps import check_heaps  # noqa: E402
from gpsattn_jax.data.videos.split_files import read_splits  # noqa: E402
from gpsattn_jax.reader_errors import (  # noqa: E402
    check_file,
    read_text,
    readable,
    shorten,
)
from tests.data.videos.annotated_videos import annotated, write_splits  # noqa: E402

CASES = pathlib.Path(__file__).resolve().parents[4] / "shared" / "cases" / "attacks"


def refusal(read, path):
    """The error of a reader, which begins with the file."""
    with pytest.raises((ValueError, OSError)) as error:
        read(path)
    assert str(error.value).startswith(str(path)), error.value
    return str(error.value)


# HDF5.


def one_video(path):
    write_videos(path, [annotated(1)], {"extractor": "made"})
    return path


def test_links_to_other_files_are_refused(tmp_path):
    one_video(tmp_path / "other.h5")
    path = one_video(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["video_2"] = h5py.ExternalLink("other.h5", "/video_1")
    assert "video_2 must be in this file; got a link to" in refusal(read_videos, path)
    with h5py.File(path, "a") as file:
        del file["video_2"], file["video_1"]["features"]
        file["video_1"]["features"] = h5py.ExternalLink("other.h5", "/video_1/features")
    assert "video_1/features must be in this file" in refusal(read_videos, path)


def test_storage_outside_the_file_is_not_read(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("password" * 8)
    path = one_video(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        group = file["video_1"]
        del group["video_name"]
        group.create_dataset("video_name", (1,), "S64", external=[(str(secret), 0, 64)])
    message = refusal(read_videos, path)
    assert "video_name must be stored in this file" in message
    assert "password" not in message


def test_views_of_other_files_are_not_read(tmp_path):
    other = one_video(tmp_path / "other.h5")
    path = one_video(tmp_path / "a.h5")
    layout = h5py.VirtualLayout((9, 16), "f4")
    layout[:] = h5py.VirtualSource(other, "video_1/features", (9, 16))
    with h5py.File(path, "a") as file:
        del file["video_1"]["features"]
        file["video_1"].create_virtual_dataset("features", layout)
    assert "features must be stored in this file" in refusal(read_videos, path)


def test_links_that_dangle_or_loop_are_named(tmp_path):
    path = one_video(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["loop"] = h5py.SoftLink("/loop")
        file["nowhere"] = h5py.SoftLink("/absent")
        file["video_1/picks2"] = h5py.SoftLink("/absent")
    message = refusal(read_videos, path)
    assert "2 of 3 videos do not fit" in message
    assert "loop: not a readable" in message and "nowhere: not a readable" in message


def test_a_link_within_the_file_is_followed(tmp_path):
    path = one_video(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["again"] = h5py.SoftLink("/video_1")
    assert len(read_videos(path)[0]) == 2


@pytest.mark.parametrize(
    "shape", [(800_000_000, 1), (10**6, 4096), (2**40, 2**20), (300_000, 4)]
)
def test_arrays_that_are_not_stored_are_not_made(tmp_path, shape):
    path = one_video(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["video_1"]["features"]
        file["video_1"].create_dataset("features", shape, "f4")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refusal(read_videos, path)
    assert "video_1/features must be of 1,073,741,824 bytes at most, and st" in message
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000  # kB


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("n_frames", 10**15, "must be a whole number in 1..50,000,000; got 10000"),
        ("n_frames", 0, "must be a whole number in 1..50,000,000; got 0"),
        ("n_frames", 99.5, "must be a whole number in 1..50,000,000; got 99.5"),
        ("picks", np.arange(9) + 0.5, "must be 9 rising frames"),
        ("change_points", [[0, 2**62]], "must be rising|within n_frames"),
        ("change_points", [[0.5, 9]], "must be rising"),
    ],
)
def test_numbers_beyond_reason_are_named(tmp_path, name, value, message):
    path = one_video(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["video_1"][name]
        file["video_1"][name] = value
    with pytest.raises(ValueError, match=f"a.h5: video_1/{name} .*({message})"):
        read_videos(path)


def test_odd_keys_are_read_in_some_order(tmp_path):
    path = tmp_path / "a.h5"
    write_videos(path, [annotated(1)], {})
    with h5py.File(path, "a") as file:
        for key in ("²", "9" * 5000, "٣", "none"):
            file.copy("video_1", key)
    assert len(read_videos(path)[0]) == 5


@pytest.mark.parametrize("userblock", [0, 512])
def test_a_heap_that_would_hold_the_library_for_ever_is_refused(tmp_path, userblock):
    """Its last piece, of free space, has no length."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file["video_1/title"] = "a text"
    check_heaps(path)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    (length,) = struct.unpack_from("<Q", data, heap + 24)
    free = heap + 32 + -(-length // 8) * 8
    assert struct.unpack_from("<H", data, free) == (0,)
    data[free + 8 : free + 16] = bytes(8)
    path.write_bytes(data)
    assert f"the heap of texts at byte {heap} is damaged" in refusal(read_videos, path)


def test_lengths_of_another_size_are_refused(tmp_path):
    path = one_video(tmp_path / "a.h5")
    data = bytearray(path.read_bytes())
    data[14] = 4
    path.write_bytes(data)
    assert "its lengths must have 8 bytes; got 4" in refusal(read_videos, path)


# Annotations.


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.json", "[" * 100_000, "not a readable JSON file: RecursionError"),
        (
            "a.json",
            '{"v": {"u": [[1, 1' + "0" * 400 + "]]}}",
            "start and end must be s",
        ),
        (
            "a.json",
            '{"v": {"u": [[1, 1' + "0" * 9000 + "]]}}",
            "not a readable JSON file",
        ),
        ("a.json", '{"v": {"u": [[1, 2]], "u": []}}', "'u' stands twice"),
        ("a.json", '{"v": {"u": [[true, 2]]}}', "start and end must be seconds"),
        ("a.json", '{"v": {"u": [["12"]]}}', r"must be \[start, end\]"),
        ("a.json", '{"v": {"u": ["12"]}}', r"must be \[start, end\]"),
        ("a.json", '{"v": {"u": [[NaN, 2]]}}', "start and end must be seconds"),
        (
            "a.csv",
            "video,user,start,end\na,b," + ":".join("1" * 900) + ",2",
            "must be s",
        ),
        (
            "a.csv",
            "video,user,start,end\na," + "x" * 200_000 + ",1,2",
            "field larger",
        ),
        (
            "a.csv",
            "video,user,start,end\nmy, film,anna,1,2",
            "line 2: must have 4 cells",
        ),
        ("a.csv", "video,user,start,start,end\n", "names start twice"),
        ("a.csv", "video,user,start,end\na,b,1\0,2", "must be seconds|CSV file"),
    ],
)
def test_annotations_that_are_none(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_annotations(path)
    assert str(error.value).startswith(str(path)) and len(str(error.value)) < 500


def test_a_comma_in_a_name_needs_quotes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('video,user,start,end\n"my, film.mp4",anna,1,"2,5"\n')
    assert read_annotations(path) == {"my, film.mp4": {"anna": [(1.0, 2.5, None)]}}


def test_text_in_another_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("video,user,start,end\nfür,anna,1,2\n".encode("latin1"))
    assert "must be UTF-8 text" in refusal(read_annotations, path)


# Whatever is no regular file.


@pytest.mark.parametrize(
    "read, suffix",
    [
        (read_videos, ".h5"),
        (read_splits, ".json"),
        (read_splits, ".yml"),
        (read_annotations, ".csv"),
    ],
)
def test_pipes_folders_and_links_to_devices_do_not_wait(tmp_path, read, suffix):
    pipe, folder, device, loop = (tmp_path / f"{n}{suffix}" for n in "abcd")
    os.mkfifo(pipe)
    folder.mkdir()
    device.symlink_to("/dev/zero")
    loop.symlink_to(loop)
    assert "regular file" in refusal(read, pipe)
    assert "got a folder" in refusal(read, folder)
    assert "got a pipe or a device" in refusal(read, device)
    assert "cannot be read" in refusal(read, loop)


def test_the_shared_parts_of_readers(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1234")
    check_file(path, "numbers", 4)
    with pytest.raises(ValueError, match="must have 3 bytes at most, as a file of n"):
        read_text(path, "numbers", 3)
    named = pytest.raises(ValueError, match="a.txt: not a readable X: it lacks 'k'")
    with named, readable(path, "X"):
        {}["k"]
    own = ValueError(f"{path}: own")
    with pytest.raises(ValueError) as error, readable(path):
        raise own
    assert error.value is own
    with pytest.raises(KeyboardInterrupt), readable(path):
        raise KeyboardInterrupt
    assert shorten("x" * 1000) == "x" * 59 + "…"
    assert (
        shorten([str(n) for n in range(12)])
        == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more"
    )
    nested = []
    for _ in range(40):
        nested = [nested] * 9
    assert len(shorten(nested)) < 200


# Mutations.


def mutated(data, rng):
    """A file's bytes with some damage."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 32))):
        if not data:
            break
        place = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place : place + 8] = rng.choice(
                (b"\xff" * 8, bytes(8), rng.randbytes(8))
            )
        elif kind == 2:
            del data[place : place + rng.randrange(1, 40)]
        elif kind == 3:
            source = rng.randrange(len(data))
            data[place:place] = data[source : source + rng.randrange(1, 40)]
        else:
            data = data[: max(1, place)]
    return bytes(data)


def fuzz(read, path, seeds):
    """How many of the seeds are refused; each names the file, in a short text."""
    data, refused = path.read_bytes(), 0
    for seed in seeds:
        path.write_bytes(mutated(data, random.Random(seed)))
        try:
            read(path)
        except (ValueError, OSError) as error:
            refused += 1
            assert str(error).startswith(str(path)), (seed, error)
            assert len(str(error)) < 3000, (seed, error)
    return refused


def h5_file(folder):
    write_videos(
        folder / "a.h5", [annotated(n, 5) for n in range(3)], {"extractor": "m"}
    )
    return read_videos, folder / "a.h5"


def splits_json(folder):
    return read_splits, write_splits(folder / "a.json", [([1, 2], [3]), ([3], [1, 2])])


def splits_yaml(folder):
    pytest.importorskip("yaml", reason="needs PyYAML (extra: data)")
    text = "- train_keys:\n  - x.h5/video_1\n  - y\n  test_keys: [z, &a 'q']\n"
    (folder / "a.yml").write_text(text * 3)
    return read_splits, folder / "a.yml"


def annotations_csv(folder):
    rows = "b.mp4;anna;0:04;12,5;3\nb.mp4;ben;1:02:03;1:3:0;4\n"
    (folder / "a.csv").write_text("video;user;start;end;score\n" + 3 * rows)
    return read_annotations, folder / "a.csv"


def annotations_json(folder):
    videos = {
        "b.mp4": {"anna": [[4, 12.5], ["1:02", 70]], "ben": []},
        "c": {"d": [[1, 2]]},
    }
    (folder / "a.json").write_text(json.dumps(videos))
    return read_annotations, folder / "a.json"


KINDS = [h5_file, splits_json, splits_yaml, annotations_csv, annotations_json]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_some_damage_gives_an_error_that_names_the_file(tmp_path, kind):
    assert fuzz(*kind(tmp_path), range(40)) > 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_damage_gives_an_error_that_names_the_file(tmp_path, kind, seeds):
    assert fuzz(*kind(tmp_path), seeds) > len(seeds) / 8


CASE_READERS = {
    read_videos: (
        "dangling.h5", "h5-13b29ed5.h5", "h5-54f65df4.h5", "h5-6440a6e8.h5",
        "h5-c24c39f8.h5", "h5-d22925df.h5", "leak.h5", "softloop.h5", "unalloc.h5",
    ),
    read_splits: (
        "splits_json-296677e9.json", "splits_json-3f42bd93.json", "deep.json",
    ),
    read_annotations: (
        "annotations-a6d3a623.json", "annotations-dc33894a.csv", "deep.json",
        "annotations-dc33894a.json", "bigfield.csv", "colons.csv",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "read, name",
    [(read, name) for read, names in CASE_READERS.items() for name in names],
)
def test_files_that_once_gave_a_traceback(read, name):
    if not CASES.is_dir():
        pytest.skip(f"{CASES} is not there")
    refusal(read, CASES / name)
