"""Splits of videos: JSON and YAML, keys with a path, val_keys, complaints by name."""

import re

import pytest

from gpsattn_jax.data.videos.split_files import (
    check_split,
    find_keys,
    keep_known,
    read_splits,
)
from tests.data.videos.annotated_videos import annotated, write_splits

VIDEOS = {video.name: video for video in (annotated(10, 5), annotated(9, 8))}


def test_splits(tmp_path):
    path = write_splits(tmp_path / "splits.json", [([9], [10]), ([10], [9])])
    splits = read_splits(path)
    assert [split["test_keys"] for split in splits] == [["video_10"], ["video_9"]]
    check_split(splits[0], VIDEOS, "here")


@pytest.mark.parametrize("suffix", [".yml", ".yaml"])
def test_dsnet_s_yaml(tmp_path, suffix):
    path = tmp_path / f"splits{suffix}"
    path.write_text(
        "- train_keys:\n  - ../datasets/x.h5/video_9\n"
        "  test_keys:\n  - ../datasets/x.h5/video_10\n"
    )
    pytest.importorskip("yaml", reason="needs PyYAML (extra: data)")
    (split,) = read_splits(path)
    split = find_keys(split, VIDEOS)
    assert split == {"train_keys": ["video_9"], "test_keys": ["video_10"]}
    check_split(split, VIDEOS, "here")


def test_keys_by_their_path():
    names = ["a/b", "c_d", "e"]
    split = {"train_keys": ["a/b", "c/d", "x/y.h5/e"], "test_keys": ["q/r"]}
    assert find_keys(split, names) == {
        "train_keys": ["a/b", "c_d", "e"],
        "test_keys": ["q/r"],
    }


def test_validation_keys_are_kept_and_checked(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text('[{"train_keys": ["a"], "val_keys": ["b"], "test_keys": ["c"]}]')
    (split,) = read_splits(path)
    assert split["val_keys"] == ["b"]
    videos = dict.fromkeys("abc")
    check_split(split, videos, "here")
    with pytest.raises(ValueError, match="not train on what it tests; both have c"):
        check_split(split | {"val_keys": ["c"]}, videos, "here")
    with pytest.raises(ValueError, match="not train on what it validates; .* have a"):
        check_split(split | {"val_keys": ["a"]}, videos, "here")
    with pytest.raises(ValueError, match="must name each video once; test_keys does"):
        check_split(split | {"test_keys": ["c", "c"]}, videos, "here")


def test_what_is_not_there_can_be_left_out(capsys):
    split = {"train_keys": ["a", "b"], "test_keys": ["c"]}
    kept = keep_known(split, "ac", "here")
    assert kept == {"train_keys": ["a"], "test_keys": ["c"]}
    assert "here: left out, bad or not there: b." in capsys.readouterr().err
    with pytest.raises(ValueError, match="here: of test_keys, no video is left"):
        keep_known(split, "ab", "here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a readable JSON file"),
        ("{}", "must be a list of splits"),
        ("[]", "must be a list of splits"),
        ("[3]", "split 0 must have train_keys, a list of videos; got 3"),
        ('[{"train_keys": ["a"]}]', "split 0 must have test_keys"),
        ('[{"train_keys": [], "test_keys": ["a"]}]', "split 0 must have train_keys"),
        ('[{"train_keys": [1], "test_keys": ["a"]}]', r"split 0 .*videos; got \[1\]"),
        (
            '[{"train_keys": ["a"], "test_keys": ["b"], "dev_keys": ["c"]}]',
            "split 0 must have no other keys than .*; got dev_keys",
        ),
        ("[" * 100_000, "not a readable JSON file: RecursionError"),
        ("[1" + "0" * 9000 + "]", "not a readable JSON file"),
    ],
)
def test_splits_that_are_none(tmp_path, content, message):
    path = tmp_path / "splits.json"
    with pytest.raises(FileNotFoundError, match="no such file of splits"):
        read_splits(path)
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + ".*" + message):
        read_splits(path)


@pytest.mark.parametrize(
    "content",
    [
        "- train_keys: [a\n",
        "!!python/object/apply:os.system ['true']\n",
        "[" * 5000,
        "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: {<<: [*b, *b, *b]}\n",
    ],
)
def test_yaml_that_is_none(tmp_path, content):
    pytest.importorskip("yaml", reason="needs PyYAML (extra: data)")
    path = tmp_path / "splits.yml"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")):
        read_splits(path)


def test_nested_references_grow_nothing(tmp_path):
    """A dozen levels of nine references each would be 10^11 names."""
    pytest.importorskip("yaml", reason="needs PyYAML (extra: data)")
    levels = ['a0: &a0 ["x"]']
    for n in range(12):
        levels.append(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]")
    path = tmp_path / "splits.yml"
    nested = "\n  ".join(levels)
    path.write_text(f"- train_keys: [y]\n  test_keys: *q\n  {nested}\n")
    with pytest.raises(ValueError, match="not a readable YAML file"):
        read_splits(path)
    path.write_text(f"- {nested}\n  train_keys: *a12\n  test_keys: [y]\n")
    with pytest.raises(ValueError, match="must have train_keys") as error:
        read_splits(path)
    assert len(str(error.value)) < 500


def test_splits_of_other_videos():
    split = {"train_keys": ["video_9", "video_77"], "test_keys": ["video_8"]}
    with pytest.raises(ValueError, match="here must name .* names video_8, video_77"):
        check_split(split, VIDEOS, "here")
    split = {"train_keys": ["video_9", "video_10"], "test_keys": ["video_9"]}
    with pytest.raises(ValueError, match="not train on what it tests; .* video_9."):
        check_split(split, VIDEOS, "here")
