"""A user's pictures and masks: pairs, parts, crops, and what is wrong by name."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.data.segmentation import (
    IGNORE,
    AugmentConfig,
    DataConfig,
    augment_batch,
    load,
    read_folder,
)
from gpsattn_jax.data.segmentation.crops import random_crop
from tests.data.segmentation.made_masks import write_pair

image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        write_pair(tmp_path, f"deep/{number}", (20 + number, 30))
    return tmp_path


def read(folder, classes=3):
    return read_folder(folder, classes, 16, 3)


def test_pictures_and_masks_are_pairs_by_name(folder):
    found = read(folder)["train"]
    assert len(found) == 6 and found.name(2).endswith("deep/2.jpg")
    picture, mask = found.whole(2)
    assert picture.shape == (22, 30, 3) and mask.shape == (22, 30)
    assert set(np.unique(mask)) == {0, 1, 2, IGNORE}
    assert found.class_names == ("class 0", "class 1", "class 2")


def test_crops_are_functions_of_their_seeds(folder):
    found = dataclasses.replace(read(folder)["train"], scale=(0.5, 2.0))
    places, seeds = np.array([0, 4]), np.array([11, 12])
    batch = found.batch(places, seeds)
    assert batch["inputs"]["images"].shape == (2, 16, 16, 3)
    again = dataclasses.replace(found, threads=1).batch(places[1:], seeds[1:])
    for drawer, name in (("inputs", "images"), ("targets", "mask")):
        np.testing.assert_array_equal(batch[drawer][name][1:], again[drawer][name])
    other = found.batch(places, seeds + 1)
    assert (batch["inputs"]["images"] != other["inputs"]["images"]).any()


def test_a_crop_cuts_picture_and_mask_at_one_place():
    mask = np.arange(200, dtype=np.uint8).reshape(10, 20)
    picture = np.repeat(mask[..., None], 3, -1)
    draw = np.random.default_rng(0)
    for scale in ((1.0, 1.0), (2.0, 2.0)):
        found, classes = random_crop(picture, mask, 8, scale, draw)
        apart = np.abs(found[..., 0].astype(int) - classes)
        # Scaled pictures are smooth; steps from row to row are 20.
        assert apart.max() == 0 if scale == (1.0, 1.0) else apart.max() <= 20
    found, classes = random_crop(picture, mask, 16, (1.0, 1.0), draw)
    assert (classes[10:] == IGNORE).all() and (classes[:10] != IGNORE).all()
    np.testing.assert_array_equal(found[10:], found[[9] * 6])


def test_both_are_mirrored_together():
    images = jnp.linspace(0, 1, 8 * 3 * 4).reshape(8, 3, 4, 1)
    mask = jnp.arange(8 * 3 * 4, dtype=jnp.uint8).reshape(8, 3, 4)
    batch = {"inputs": {"images": images}, "targets": {"mask": mask}}
    found = augment_batch(AugmentConfig(flip=True), batch, jax.random.key(0))
    places = (found["inputs"]["images"][..., 0] * 95).round().astype(jnp.uint8)
    np.testing.assert_array_equal(places, found["targets"]["mask"])
    mirrored = (found["targets"]["mask"] != mask).any((1, 2))
    assert 0 < mirrored.sum() < 8


def test_parts_are_held_out_or_have_folders_of_their_own(folder, tmp_path_factory):
    config = DataConfig(name="folder", folder=str(folder), validation_pictures=2)
    sizes = {"num_classes": 3, "size": 16, "channels": 1}
    found = load(config, **sizes)
    names = [
        {part.name(place) for place in range(len(part))} for part in found.values()
    ]
    assert [len(part) for part in names] == [2, 2, 2] and len(set.union(*names)) == 6
    root = tmp_path_factory.mktemp("parts")
    for part, count in (("train", 4), ("val", 1)):
        for number in range(count):
            write_pair(root / part, str(number), (16, 16))
    (root / "classes.txt").write_text("ground\nroad\nsky\n")
    config = dataclasses.replace(config, folder=str(root), validation_pictures=1)
    found = load(config, **sizes)
    assert {name: len(part) for name, part in found.items()} == {
        "train": 3, "test": 1, "validation": 1,
    }  # fmt: skip
    assert found["test"].class_names == ("ground", "road", "sky")
    assert found["test"].name(0).endswith("val/images/0.jpg")


def write_colours(path):
    image_library.new("RGB", (30, 20)).save(path)


def write_other_size(path):
    image_library.new("L", (31, 20)).save(path)


def write_wrong_class(path):
    image_library.fromarray(np.full((20, 30), 7, np.uint8)).save(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "deep/0.png: no such mask; .* 1 of 6 lack"),
        (lambda path: path.write_bytes(b"GIF89a"), "deep/0.png: not a readable PNG"),
        (write_colours, "deep/0.png: must be a PNG of class numbers.* got mode RGB"),
        (write_other_size, "deep/0.png: must be 30 x 20 pixels, as .*deep/0.jpg"),
        (write_wrong_class, "deep/0.png: its numbers must be classes, from 0 to 2.* 7"),
    ],
)
def test_bad_masks_are_named(folder, damage, message):
    damage(folder / "masks" / "deep" / "0.png")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(folder)


def test_folders_that_do_not_fit_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder of pictures"):
        read(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match="must hold images/ and masks/"):
        read(folder / "masks")
    (folder / "classes.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match="must name model.num_classes=3 .* got 2"):
        read(folder)
    with pytest.raises(ValueError, match="data.folder must name the folder"):
        load(DataConfig(name="folder"), num_classes=2, size=8, channels=3)
    (folder / "classes.txt").unlink()
    config = DataConfig(name="folder", folder=str(folder), validation_pictures=6)
    with pytest.raises(ValueError, match="must be from 1 to fewer than the 6 pictures"):
        load(config, num_classes=3, size=8, channels=3)
