"""The digits' split, and image files of users."""

import numpy as np
import pytest

from gpsattn_jax.data.images import sets as image_sets
from gpsattn_jax.data.images import sources as images

image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")


def picture(path, mode="RGB", size=(12, 8), color=None):
    image_library.new(mode, size, color).save(path)
    return path


def test_digits_have_a_fixed_stratified_split_without_overlap():
    sets = image_sets.digits(None)
    assert {name: len(part) for name, part in sets.items()} == {
        "train": 1167,
        "validation": 180,
        "test": 450,
    }
    rows = np.concatenate(
        [part.images.reshape(len(part), -1) for part in sets.values()]
    )
    assert len(np.unique(rows, axis=0)) == 1797
    assert rows.min() == 0 and rows.max() == 1 and rows.dtype == np.float32
    counts = np.bincount(sets["test"].labels)
    assert counts.min() >= 43 and counts.max() <= 46
    # The very split, not only a split: the first test images' labels.
    again = image_sets.digits(None)["test"]
    np.testing.assert_array_equal(again.labels, sets["test"].labels)


@pytest.mark.parametrize(
    ("mode", "color"),
    [("RGB", (255, 0, 0)), ("L", 76), ("RGBA", (255, 0, 0, 255)), ("CMYK", None)],
)
def test_all_modes_are_read(tmp_path, mode, color):
    suffix = "jpg" if mode == "CMYK" else "png"
    path = picture(tmp_path / f"a.{suffix}", mode, color=color)
    pixels = images.read_images([path], 8, 3)
    assert pixels.shape == (1, 8, 8, 3) and pixels.dtype == np.float32
    assert pixels.min() >= 0 and pixels.max() <= 1
    grey = images.read_images([path], 4, 1)
    assert grey.shape == (1, 4, 4, 1)
    if mode != "CMYK":
        np.testing.assert_allclose(grey, 76 / 255, atol=0.01)


def test_sixteen_bit_grey_keeps_its_shades(tmp_path):
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    image_library.fromarray(values).save(tmp_path / "deep.png")
    pixels = images.read_images([tmp_path / "deep.png"], 8, 1)
    np.testing.assert_allclose(pixels[0, ..., 0], values / 65535, atol=0.005)


def test_transparent_paper_is_white(tmp_path):
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[2:4, :, 3] = 255  # black strokes on nothing
    image_library.fromarray(ink).save(tmp_path / "ink.png")
    pixels = images.read_images([tmp_path / "ink.png"], 8, 1)[0, ..., 0]
    np.testing.assert_array_equal(pixels[2:4], 0)
    np.testing.assert_array_equal(pixels[[0, 5]], 1)


def test_float_pixels_are_refused_by_name(tmp_path):
    image_library.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(ValueError, match="f.tif: not a readable image: its pixels are"):
        images.read_images([tmp_path / "f.tif"], 8, 1)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n123"])
def test_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="broken.png: not a readable image"):
        images.read_images([path], 8, 1)


def test_truncated_file_is_named(tmp_path):
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    image_library.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="cut.png: not a readable image"):
        images.read_images([path], 8, 1)


def test_files_are_found_in_folders_and_by_pattern(tmp_path):
    (tmp_path / "deep").mkdir()
    first, second = picture(tmp_path / "a.png"), picture(tmp_path / "deep" / "b.JPG")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    assert images.find_images(tmp_path) == [first, second]
    assert images.find_images(f"{tmp_path}/*.png") == [first]
    assert images.find_images(f"{tmp_path}/*") == [first]
    assert images.find_images(second) == [second]
    with pytest.raises(FileNotFoundError, match="nothing: no images there"):
        images.find_images(tmp_path / "nothing")
