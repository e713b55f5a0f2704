"""Folders of pictures as people have them: read as meant, or refused by name."""

import os

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.images.class_folders import read_folder, read_labelled
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.sets import DataConfig, check_same_classes, load
from gpsattn_jax.data.images.sources import find_images

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
CROP = Crop(size=8)
TWO = ("green", "red")


def fill(folder, classes=TWO, each=3, first=0):
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + each):
            image = Image.new("RGB", (9, 9), (number, 0, 0))
            image.save(folder / name / f"{number}.png")
    return folder


def plain(folder, count=3):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (9, 9)).save(folder / f"{number}.png")


def sizes(sets):
    return {part: len(images) for part, images in sets.items()}


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("Train", "Test"), ("train", "test")),
        (("training", "testing"), ("train", "test")),
        (("TRAIN", "VAL"), ("train", "validation")),
        (("train", "Val"), ("train", "validation")),
        (("Train", "valid", "TEST"), ("train", "validation", "test")),
    ],
)
def test_parts_are_known_in_any_writing(tmp_path, names, parts):
    for name in names:
        fill(tmp_path / name)
    sets = read_folder(tmp_path, CROP)
    assert sizes(sets) == dict.fromkeys(parts, 6)
    assert sets["train"].class_names == TWO


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "val", "valid"), "one folder for validation; got val, valid"),
        (("train", "Train"), "one folder for train; got Train, train"),
        (("train", "extra"), "extra beside train may be a part or a class"),
        (("cats", "dogs", "test"), "test may be a part or a class beside cats, dogs"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(tmp_path, names, message):
    for name in names:
        fill(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        read_folder(tmp_path, CROP)


def test_pictures_of_train_must_lie_in_class_folders(tmp_path):
    plain(tmp_path / "train")
    fill(tmp_path / "val")
    with pytest.raises(ValueError, match="train: its pictures must lie in class fold"):
        read_folder(tmp_path, CROP)


def test_a_class_may_be_called_train(tmp_path):
    sets = read_folder(fill(tmp_path, ("bus", "train")), CROP)
    assert sizes(sets) == {"train": 6}
    assert sets["train"].class_names == ("bus", "train")


def test_a_test_part_without_labels_is_not_used_and_noted(tmp_path):
    fill(tmp_path / "train")
    plain(tmp_path / "test")
    sets = read_folder(tmp_path, CROP)
    assert sizes(sets) == {"train": 6}
    assert f"not used: {tmp_path / 'test'} has no class folders" in sets.notes[0]


def test_other_folders_beside_two_parts_are_noted(tmp_path):
    for name in ("train", "val", "samples"):
        fill(tmp_path / name)
    sets = read_folder(tmp_path, CROP)
    assert sizes(sets) == {"train": 6, "validation": 6}
    assert sets.notes == ("not used: samples, beside the parts",)


@pytest.mark.parametrize("parts", [False, True])
def test_a_folder_around_the_set_is_opened(tmp_path, parts):
    inner = tmp_path / "download" / "pets"
    fill(inner / "train" if parts else inner)
    sets = read_folder(tmp_path, CROP)
    assert sizes(sets) == {"train": 6} and sets["train"].class_names == TWO
    assert f"taken: {inner}, the only folder there" in sets.notes


def test_litter_is_left_out_at_any_depth_and_counted(tmp_path):
    fill(tmp_path)
    for place in ("__MACOSX", "red/.ipynb_checkpoints", "red/deep/@eaDir", ".cache"):
        plain(tmp_path / place)
    plain(tmp_path / "red" / "deep", 2)
    (tmp_path / "red" / "._0.png").write_bytes(b"left by another system")
    (tmp_path / "red" / "list.txt").write_text("0.png")
    (tmp_path / "green" / "new.heic").write_bytes(b"another format")
    plain(tmp_path / "stray", 0)
    (tmp_path / "stray").rmdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "stray.png")
    sets = read_folder(tmp_path, CROP)
    assert np.bincount(sets["train"].labels).tolist() == [3, 5]
    text = "\n".join(sets.notes)
    for line in (
        "left out: 1 file .heic",
        "left out: 1 file .txt",
        "left out: 5 hidden",
        "left out: 1 picture in no class folder",
    ):
        assert line in text


def test_pictures_with_rare_suffixes_and_with_none_are_taken(tmp_path):
    fill(tmp_path, each=1)
    jpeg = tmp_path / "red" / "a.jfif"
    Image.new("RGB", (9, 9)).save(jpeg, "JPEG")
    (tmp_path / "red" / "b").write_bytes(jpeg.read_bytes())
    Image.new("L", (9, 9)).save(tmp_path / "green" / "c.pgm")
    (tmp_path / "green" / "notes").write_text("no picture")
    sets = read_folder(tmp_path, CROP)
    assert np.bincount(sets["train"].labels).tolist() == [2, 3]
    assert "1 file without suffix" in sets.notes[0]
    sets["train"].batch(np.arange(5), None)


@pytest.mark.parametrize("target", ["..", ".", "../green", "/"])
def test_links_into_the_set_or_above_it_are_not_followed(tmp_path, target):
    root = fill(tmp_path / "set")
    (root / "red" / "again").symlink_to(target, target_is_directory=True)
    sets = read_folder(root, CROP)
    assert sizes(sets) == {"train": 6}
    assert "1 link to a folder of the set or above it" in sets.notes[0]
    assert len(find_images(root)) == 6


def test_links_to_folders_elsewhere_are_followed_once(tmp_path):
    store = fill(tmp_path / "store")
    (store / "red" / "up").symlink_to("..", target_is_directory=True)
    root = tmp_path / "set"
    root.mkdir()
    for name in TWO:
        (root / name).symlink_to(store / name, target_is_directory=True)
    sets = read_folder(root, CROP)
    assert np.bincount(sets["train"].labels).tolist() == [3, 3]


def test_a_picture_met_twice_is_taken_once(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test", each=1, first=9)
    (tmp_path / "test" / "red" / "copy.png").symlink_to(tmp_path / "train/red/0.png")
    sets = read_folder(tmp_path, CROP)
    assert sizes(sets) == {"train": 6, "test": 2}
    assert "1 picture met a second time" in sets.notes[0]


def test_only_regular_files_are_taken(tmp_path):
    fill(tmp_path)
    os.mkfifo(tmp_path / "red" / "pipe.png")
    (tmp_path / "red" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "red" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "red" / "self.png").symlink_to("self.png")
    sets = read_folder(tmp_path, CROP)
    assert sizes(sets) == {"train": 6}
    text = "\n".join(sets.notes)
    assert "2 pipe, device or socket" in text and "2 broken link" in text
    assert len(find_images(tmp_path)) == 6


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("capital_parts", {"train": 12, "test": 6}),
        ("wrapped", {"train": 12}),
        ("hidden_inside", {"train": 12}),
        ("class_called_train", {"train": 12}),
        ("jfif", {"train": 12}),
    ],
)
def test_made_cases_are_read(cases, name, expected):
    sets = read_folder(cases / "images" / name, CROP)
    found = sizes(sets)
    assert found.keys() == expected.keys()
    assert len(sets["train"].class_names) == 2
    assert found["train"] == expected["train"]


def test_made_cases_are_refused_by_name(cases):
    with pytest.raises(ValueError, match="one folder for validation; got val, valid"):
        read_folder(cases / "images" / "val_and_valid", CROP)
    folder = str(cases / "images" / "one_image_class")
    config = DataConfig(name="folder", folder=folder, validation_images=3)
    with pytest.raises(ValueError, match="class blue has 1 picture"):
        load(config, size=8)


def test_a_small_held_out_part_and_a_single_class_are_refused(tmp_path):
    fill(tmp_path / "two", each=6)
    config = DataConfig(name="folder", folder="two", validation_images=1)
    with pytest.raises(
        ValueError, match="validation_images must be from 2 to 10.*; got 1"
    ):
        load(config, tmp_path, size=8)
    fill(tmp_path / "one", ("cat",), each=4)
    config = DataConfig(name="folder", folder="one", validation_images=1)
    with pytest.raises(ValueError, match="at least two classes; got only cat 4"):
        load(config, tmp_path, size=8)


def test_the_summary_says_what_training_will_use(tmp_path):
    names = [f"class{n:02}" for n in range(12)]
    fill(tmp_path / "set", names, each=4)
    plain(tmp_path / "set" / "class00" / ".cache")
    config = DataConfig(name="folder", folder="set", validation_images=12)
    text = load(config, tmp_path, size=8).summary()
    assert text.startswith("12 classes:\n  train ")
    assert "24 pictures   class00 2, class01 2" in text and ", and 2 more" in text
    assert "left out: 1 hidden (first: " in text
    assert "test: 12 held out of train, evenly of all classes" in text
    assert text.index("train") < text.index("validation") < text.index("test ")


def test_any_folder_of_known_classes_can_be_scored(tmp_path):
    root = fill(tmp_path / "new", ("red",), each=2)
    images, _ = read_labelled(root, ("blue", "green", "red"), CROP)
    assert images.labels.tolist() == [2, 2]
    wordnet = fill(tmp_path / "wordnet", ("n01440764", "n03000684"), each=1)
    images, _ = read_labelled(wordnet, ("church", "chain saw", "tench"), CROP)
    assert images.labels.tolist() == [2, 1]
    for name in ("train", "val"):
        fill(tmp_path / "parts" / name, each=1 if name == "val" else 5)
    images, _ = read_labelled(tmp_path / "parts", TWO, CROP)
    assert len(images) == 2
    with pytest.raises(ValueError, match="red must be classes of the run, .* a, b"):
        read_labelled(root, ("a", "b"), CROP)


def test_changed_classes_are_named():
    check_same_classes(("a", "b"), ["a", "b"], "folder x")
    with pytest.raises(ValueError, match="folder x: its.*: b went and c, d came"):
        check_same_classes(("a", "b"), ("a", "c", "d"), "folder x")
    with pytest.raises(ValueError, match="their order is another one"):
        check_same_classes(("a", "b"), ("b", "a"), "folder x")
