"""Image sets by name: what they hold, how they are split, which are missing."""

import io
import json
import zipfile

import numpy as np
import pytest

from gpsattn_jax.data.images import cifar
from gpsattn_jax.data.images.sets import DataConfig, load

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")


def test_unknown_set_lists_the_choices():
    with pytest.raises(
        ValueError, match="must be one of digits, .*tfds:NAME; got 'mnist'"
    ):
        load(DataConfig(name="mnist"), size=8)


@pytest.mark.parametrize("name", ["cifar100", "imagenette", "imagenet"])
def test_a_missing_set_is_told_with_the_flag_that_helps(tmp_path, name, monkeypatch):
    config = DataConfig(name=name, validation_images=10)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}.*--data_dir"):
        load(config, tmp_path, size=32)
    monkeypatch.delenv("GPSATTN_DATA_DIR", raising=False)
    with pytest.raises(FileNotFoundError, match="no folder was named"):
        load(config, size=32)


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_named_set_is_found_in_the_folder_one_stands_in(
    tmp_path, monkeypatch, by_environment
):
    class_folders(tmp_path / "imagenette2-160" / "train")
    class_folders(tmp_path / "imagenette2-160" / "val")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPSATTN_DATA_DIR", "." if by_environment else "")
    config = DataConfig(name="imagenette", validation_images=4)
    sets = load(config, None if by_environment else ".", size=8)
    sizes = {part: len(images) for part, images in sets.items()}
    assert sizes == {"train": 12, "validation": 4, "test": 16}


def test_cifar100_is_whole_and_split_evenly(data_dir):
    """The zips' SHA-256 of all pixels is compared while they are read."""
    config = DataConfig(
        name="cifar100_coarse", validation_images=5_000, train_images=2_000
    )
    sets = load(config, data_dir, size=32)
    sizes = {name: len(images) for name, images in sets.items()}
    assert sizes == {"train": 2_000, "validation": 5_000, "test": 10_000}
    for name, images in sets.items():
        counts = np.bincount(images.labels, minlength=20)
        assert counts.min() == counts.max() == sizes[name] // 20
    assert sets["test"].class_names[1] == "fish"
    batch = sets["train"].batch(np.arange(3), None)
    assert batch["inputs"]["images"].dtype == np.uint8
    # The validation images are no training images.
    rows = {name: sets[name].images.reshape(-1, 3072) for name in ("train", "test")}
    held_out = {row.tobytes() for row in sets["validation"].images.reshape(-1, 3072)}
    assert sum(row.tobytes() in held_out for row in rows["train"]) <= 2  # real twins


def test_imagenette_is_read_from_its_zips(data_dir):
    config = DataConfig(name="imagenette", validation_images=500, crop_share=1.0)
    sets = load(config, data_dir, size=64, crop_scale=(0.5, 1.0))
    sizes = {name: len(images) for name, images in sets.items()}
    assert sizes == {"train": 8_969, "validation": 500, "test": 3_925}
    assert sets["test"].class_names[0] == "tench"
    calm = sets["train"].batch(np.array([5]), None)["inputs"]["images"]
    crops = [
        sets["train"].batch(np.array([5]), np.array([seed]))["inputs"]["images"]
        for seed in (1, 1, 2)
    ]
    assert calm.shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[0], crops[2])


def make_zip(path, *, label=3, spoil=None, digest=None):
    """A CIFAR zip of two images, perhaps with something wrong."""
    import hashlib

    pixels = np.random.default_rng(0).integers(0, 255, (64, 32, 3), np.uint8)
    buffer = io.BytesIO()
    image_library.fromarray(pixels).save(buffer, "webp", lossless=True)
    index = {
        "classes": [f"class {i}" for i in range(100)],
        "coarse": {"names": ["low", "high"], "fine_to_coarse": [0] * 3 + [1] * 97},
        "chunks": [{"path": "003/000.webp", "label": label, "count": 2}],
        "rgb_sha256": digest or hashlib.sha256(pixels.data).hexdigest(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", json.dumps(index))
        archive.writestr("003/000.webp", spoil or buffer.getvalue())
    return pixels.reshape(2, 32, 32, 3)


def test_a_cifar_zip_without_faults(tmp_path):
    pixels = make_zip(tmp_path / "a.zip")
    images, fine, coarse, names = cifar.read_zip(tmp_path / "a.zip")
    np.testing.assert_array_equal(images, pixels)
    assert fine.tolist() == [3, 3] and coarse.tolist() == [1, 1]
    assert names["coarse"] == ("low", "high")


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"spoil": b"RIFF"}, "a.zip: 003/000.webp: not a readable image"),
        ({"digest": "00"}, "a.zip: the pixels' SHA-256 must be 00; got"),
    ],
)
def test_faults_of_a_cifar_zip_are_named(tmp_path, faults, message):
    make_zip(tmp_path / "a.zip", **faults)
    with pytest.raises(ValueError, match=message):
        cifar.read_zip(tmp_path / "a.zip")


def test_what_is_no_zip_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="a.zip: not a readable CIFAR-100 zip"):
        cifar.read_zip(tmp_path / "a.zip")


def class_folders(root):
    draw = np.random.default_rng(0)
    for name in ("one", "two"):
        (root / name).mkdir(parents=True)
        for number in range(8):
            pixels = draw.integers(0, 255, (9, 11, 3), np.uint8)
            image_library.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_bad_files_are_errors_or_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path / "cache"))
    root = class_folders(tmp_path / "set")
    (root / "one" / "bad.png").write_bytes(b"no image")
    config = {"name": "folder", "folder": str(root), "validation_images": 2}
    sets = load(DataConfig(**config), size=8)
    with pytest.raises(ValueError, match="bad.png: not a readable image"):
        for images in sets.values():
            images.batch(np.arange(len(images)), None)
    sets = load(DataConfig(**config, skip_bad=True), size=8)
    assert sum(len(images) for images in sets.values()) == 16
    printed = capsys.readouterr()
    assert "files left out" in printed.err + printed.out
    assert "bad.png" in printed.err + printed.out


def test_decoded_images_are_those_of_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path / "cache"))
    root = class_folders(tmp_path / "set")
    config = {"name": "folder", "folder": str(root), "validation_images": 2}
    plain, cached = (
        load(DataConfig(**config, decoded=flag, crop_share=1.0), size=9)["train"]
        for flag in (False, True)
    )
    places = np.arange(len(plain))
    expected, found = (
        images.batch(places, None)["inputs"]["images"] for images in (plain, cached)
    )
    np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize(
    ("field", "count"), [("validation_images", 0), ("train_images", 5_000)]
)
def test_impossible_parts_are_refused_by_name(tmp_path, field, count):
    root = class_folders(tmp_path)
    config = {"validation_images": 2} | {field: count}
    with pytest.raises(ValueError, match=f"data.{field} must be from 1 to"):
        load(DataConfig(name="folder", folder=str(root), **config), size=8)
