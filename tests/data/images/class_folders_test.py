"""Class folders and zip archives, decoded when asked for; bad files are named."""

import dataclasses
import os
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.images import bad_files as image_check
from gpsattn_jax.data.images.bad_files import without_bad
from gpsattn_jax.data.images.class_folders import read_folder, read_labelled, read_zips
from gpsattn_jax.data.images.crop import Crop

CROP = Crop(size=8)
COLORS = {"ant": "red", "bee": "lime", "cow": "blue"}


def fill(folder, classes=COLORS, each=2):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            color = Image.new("RGB", (12 + number, 10), COLORS.get(name, "white"))
            color.save(folder / name / f"{number}.{'PNG' if number else 'jpg'}")
    return folder


def packed(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def pixels(source, places, seeds=None):
    places = np.asarray(places)
    return source.batch(places, seeds)["inputs"]["images"]


def test_parts_share_the_classes_of_train(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "val", ["bee", "cow"], each=1)
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "train" / "ant" / "._0.jpg").write_bytes(b"left by another system")
    (tmp_path / "train" / "ant" / "notes.txt").write_text("no image")
    sets = read_folder(tmp_path, CROP)
    assert list(sets) == ["train", "validation"]
    assert sets["train"].class_names == ("ant", "bee", "cow")
    np.testing.assert_array_equal(sets["train"].labels, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(sets["validation"].labels, [1, 2])
    batch = sets["train"].batch(np.array([5, 0]), None)
    assert batch["inputs"]["images"].shape == (2, 8, 8, 3)
    assert batch["inputs"]["images"].dtype == np.uint8
    np.testing.assert_allclose(
        batch["inputs"]["images"][:, 4, 4].astype(int),
        [[0, 0, 255], [255, 0, 0]],
        atol=3,
    )
    np.testing.assert_array_equal(batch["targets"]["label"], [2, 0])
    assert batch["targets"]["label"].dtype == np.int32


def test_class_folders_alone_are_all_for_training(tmp_path):
    sets = read_folder(fill(tmp_path), CROP)
    assert list(sets) == ["train"] and len(sets["train"]) == 6
    part = sets["train"].take(np.array([1, 4]))
    np.testing.assert_array_equal(part.labels, [0, 2])
    np.testing.assert_array_equal(pixels(part, [1]), pixels(sets["train"], [4]))


def test_imagenette_has_human_names(tmp_path):
    fill(tmp_path / "train", ["n01440764", "n03000684"])
    assert read_folder(tmp_path, CROP)["train"].class_names == ("tench", "chain saw")


def test_seeds_cut_the_same_parts_again_and_threads_change_nothing(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (9, 40, 50, 3), np.uint8)
    (tmp_path / "one").mkdir()
    for number, value in enumerate(values):
        Image.fromarray(value).save(tmp_path / "one" / f"{number}.png")
    source = read_folder(tmp_path, CROP, threads=1)["train"]
    places, seeds = np.arange(9), np.arange(9) + (3 << 40)
    cut = pixels(source, places, seeds)
    for threads in (2, 4, 0):
        other = dataclasses.replace(source, threads=threads)
        np.testing.assert_array_equal(cut, pixels(other, places, seeds))
    np.testing.assert_array_equal(cut[::-1], pixels(source, places[::-1], seeds[::-1]))
    assert (cut != pixels(source, places, seeds + 1)).any((1, 2, 3)).all()
    assert (cut != pixels(source, places)).any((1, 2, 3)).all()


def test_zips_are_read_as_they_are_even_by_threads_and_after_pickling(tmp_path):
    folder = fill(tmp_path / "all", each=20)
    sets = read_folder(folder, CROP)
    path = packed(folder, tmp_path / "all.zip")
    zipped = read_zips(path, path, Crop(size=8), threads=4)
    assert list(zipped) == ["train", "validation"]
    source = zipped["train"]
    assert source.class_names == ("ant", "bee", "cow")
    everything = pixels(source, np.arange(60))
    np.testing.assert_array_equal(everything, pixels(sets["train"], np.arange(60)))
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(everything, pixels(again, np.arange(60)))
    np.testing.assert_array_equal(everything[[7]], pixels(source.take([3, 7]), [1]))


def test_imagenette_zips(data_dir):
    parts = [
        data_dir / f"images/imagenette_128_{part}.zip" for part in ("train", "val")
    ]
    sets = read_zips(*parts, Crop(size=64))
    assert len(sets["train"]) == 9469 and len(sets["validation"]) == 3925
    assert sets["train"].class_names[:2] == ("tench", "English springer")
    images = pixels(sets["train"], [0, 5000, 9468], np.arange(3))
    assert images.shape == (3, 64, 64, 3) and images.std() > 30


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder of images"):
        read_folder(tmp_path / "nowhere", CROP)
    with pytest.raises(FileNotFoundError, match="no class folders there"):
        read_folder(tmp_path, CROP)
    fill(tmp_path / "val")
    with pytest.raises(FileNotFoundError, match="has validation, but no train folder"):
        read_folder(tmp_path, CROP)
    fill(tmp_path / "train")
    (tmp_path / "train" / "dog").mkdir()
    with pytest.raises(ValueError, match="train: no images in dog; looked for .bmp"):
        read_folder(tmp_path, CROP)
    (tmp_path / "train" / "dog").rmdir()
    fill(tmp_path / "test", ["ant", "eel", "fox"])
    with pytest.raises(ValueError, match="test: train has no class eel, fox"):
        read_folder(tmp_path, CROP)


def test_bad_archives_are_named(tmp_path):
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(ValueError, match="text.zip: not a readable zip archive"):
        read_zips(tmp_path / "text.zip", None, CROP)
    with pytest.raises(FileNotFoundError, match="nowhere.zip"):
        read_zips(tmp_path / "nowhere.zip", None, CROP)
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(ValueError, match="flat.zip: no images in class folders"):
        read_zips(tmp_path / "flat.zip", None, CROP)
    path = packed(fill(tmp_path / "good"), tmp_path / "good.zip")
    content = bytearray(path.read_bytes())
    start = content.index(b"\x89PNG")
    content[start + 20 : start + 40] = bytes(20)
    path.write_bytes(content)
    source = read_zips(path, None, CROP)["train"]
    with pytest.raises(ValueError, match="good.zip/ant/1.PNG: not a readable.*CRC"):
        pixels(source, np.arange(len(source)))


def spoiled(folder):
    fill(folder / "train", each=3)
    (folder / "train" / "ant" / "1.PNG").write_bytes(b"")
    (folder / "train" / "bee" / "0.jpg").write_bytes(b"not an image")
    return read_folder(folder, CROP)["train"]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_bad_file_is_named_by_the_batch_that_needs_it(tmp_path, threads):
    source = dataclasses.replace(spoiled(tmp_path), threads=threads)
    pixels(source, [0, 2])
    with pytest.raises(ValueError, match=r"ant/1.PNG: not a readable image: the file"):
        pixels(source, [0, 1, 2])


def test_bad_files_are_left_out_and_remembered(tmp_path, capsys, monkeypatch):
    source = spoiled(tmp_path / "images")
    kept = without_bad(source, tmp_path / "cache")
    np.testing.assert_array_equal(kept.labels, [0, 0, 1, 1, 2, 2, 2])
    assert pixels(kept, np.arange(7)).shape[0] == 7
    printed = capsys.readouterr().err
    assert printed.startswith("2 of 9 files left out:\n")
    assert "ant/1.PNG: not a readable image: the file is empty" in printed
    assert "bee/0.jpg: not a readable image: none of BMP" in printed
    monkeypatch.setattr(image_check, "_find_bad", None)  # not looked at again
    assert len(without_bad(source, tmp_path / "cache")) == 7
    monkeypatch.undo()
    Image.new("RGB", (9, 9)).save(tmp_path / "images/train/ant/1.PNG")
    assert len(without_bad(source, tmp_path / "cache")) == 8
    with pytest.raises(ValueError, match="None of the 1 files is a readable image"):
        without_bad(source.take(np.array([3])), tmp_path / "cache")


def test_labels_must_fit_the_files(tmp_path):
    source = read_folder(fill(tmp_path), CROP)["train"]
    with pytest.raises(ValueError, match="one for each of the 6 files; got 5"):
        dataclasses.replace(source, labels=source.labels[1:])


def test_a_class_whose_name_is_no_text(tmp_path):
    """Latin-1 names in a UTF-8 system; the class is text, the pictures are found."""
    fill(tmp_path, ("ant", "bee"))
    os.rename(tmp_path / "bee", os.fsencode(tmp_path) + b"/caf\xe9")
    found = read_folder(tmp_path, CROP).parts["train"]
    assert found.class_names == ("ant", "caf\\udce9")
    assert pixels(found, range(4)).shape == (4, 8, 8, 3)
    again, _ = read_labelled(tmp_path, found.class_names, CROP)
    np.testing.assert_array_equal(again.labels, [0, 0, 1, 1])


def test_classes_that_are_numbers_are_sorted_as_text_and_keep_their_pictures(tmp_path):
    fill(tmp_path, ("1", "2", "10"))
    part = read_folder(tmp_path, CROP).parts["train"]
    assert part.class_names == ("1", "10", "2")
    folders = [part.store.name(place).split(os.sep)[-2] for place in range(len(part))]
    assert [part.class_names[label] for label in part.labels] == folders
