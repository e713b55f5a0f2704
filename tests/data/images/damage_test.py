"""Damaged pictures and archives: pixels, or one error that names the file."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.images.class_folders import read_zips
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decode import FORMATS, decode

MOST = 2**20  # pixels: a header may say any number of them


def mutated(content, seed):
    """Some bytes changed, mostly at the front, or a piece cut out or doubled."""
    draw = np.random.default_rng(seed)
    changed = bytearray(content)
    kind = seed % 4
    if kind < 2:
        span = min(len(changed), 200) if kind else len(changed)
        for place in draw.integers(span, size=draw.integers(1, 9)):
            changed[place] = draw.integers(256)
        return bytes(changed)
    first, last = sorted(draw.integers(len(changed), size=2))
    middle = b"" if kind == 2 else changed[first:last] * 2
    return bytes(changed[:first] + middle + changed[last:])


def picture(suffix):
    values = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if suffix in ("JPEG", "PNG", "TIFF", "WEBP") else {}
    file = io.BytesIO()
    Image.fromarray(values).save(file, suffix, **options)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", FORMATS)
def test_mutated_pictures_give_pixels_or_one_error(suffix):
    whole, crop = picture(suffix), Crop(size=8, most_pixels=MOST)
    fine = 0
    for seed in range(300):
        content = mutated(whole, seed)
        for read in (
            lambda c: decode(c, name="a.pic", most_pixels=MOST),
            lambda c: crop(c, 1, name="a.pic"),
        ):
            try:
                assert read(content).dtype == np.uint8
                fine += 1
            except ValueError as error:
                assert str(error).startswith("a.pic: not a readable image: "), seed
    assert 0 < fine < 600  # some did no harm, some did


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mutated_archives_give_pictures_or_one_error(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("red/1.png", "red/2", "green/1.bmp"):
            archive.writestr(name, picture("BMP" if "bmp" in name else "PNG"))
    whole, fine = path.read_bytes(), 0
    for seed in range(400):
        path.write_bytes(mutated(whole, seed))
        try:
            images = read_zips(path, None, Crop(size=8, most_pixels=MOST))["train"]
            images.batch(np.arange(len(images)), None)
            fine += 1
        except ValueError as error:
            assert "a.zip" in str(error), seed
    assert 0 < fine < 400
