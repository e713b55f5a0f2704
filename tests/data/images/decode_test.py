"""One decoder: every kind of image, every kind of broken file, crops by seed."""

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from gpsattn_jax.data.images import decode as decode_module
from gpsattn_jax.data.images.byte_stores import Paths
from gpsattn_jax.data.images.crop import Crop, center_box
from gpsattn_jax.data.images.decode import decode, resized_box
from gpsattn_jax.data.images.random_box import TRIES, random_box

WIDE = (0.08, 1.0), (3 / 4, 4 / 3)


def encoded(image, suffix="PNG", **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def smooth(width, height):
    rows, columns = np.mgrid[:height, :width]
    planes = [np.sin(rows / 60), np.cos(columns / 80), np.sin((rows + columns) / 90)]
    return Image.fromarray(np.uint8(127 * np.stack(planes, -1) + 128))


def noise(width=64, height=64):
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb_and_grey(mode):
    image = Image.new("RGB", (7, 5), "red").convert(mode)
    content = encoded(image, "JPEG" if mode in ("CMYK", "YCbCr") else "PNG")
    pixels = decode(content)
    assert pixels.shape == (5, 7, 3) and pixels.dtype == np.uint8
    assert decode(content, 1).shape == (5, 7, 1)
    red = {"1": (0, 0, 0), "L": (76,) * 3, "LA": (76,) * 3}.get(mode, (255, 0, 0))
    if mode != "1":
        np.testing.assert_allclose(pixels, np.broadcast_to(red, (5, 7, 3)), atol=3)


def test_sixteen_bit_grey_keeps_its_shades():
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    for suffix in ("PNG", "TIFF"):
        content = encoded(Image.fromarray(values), suffix)
        np.testing.assert_array_equal(decode(content, 1)[..., 0], values // 257)


def test_transparent_paper_is_white():
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[2:, :, 3] = 255
    pixels = decode(encoded(Image.fromarray(ink)))
    assert (pixels[:2] == 255).all() and (pixels[2:] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_in_whole_and_in_part(orientation):
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[:5, :10] = 255  # a white corner on the upper left
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(decode(content), upright)
    corner = resized_box(content, 5, lambda width, _: (0, 0, width / 4, 5))
    assert corner.min() > 220  # bicubic looks a little beyond the box


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_format_is_turned_as_pillow_turns_it(suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if suffix in ("JPEG", "WEBP") else {}
    content = encoded(smooth(60, 40), suffix, exif=exif, **options)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(decode(content), expected)
    height, width = expected.shape[:2]
    sizes = []

    def whole(*size):
        sizes.append(size)
        return 0, 0, size[0], size[1]

    resized_box(content, 8, whole)
    assert sizes == [(width, height)]
    quarter = resized_box(content, 10, lambda *_: (0, 0, 20, 20))
    box = Image.fromarray(expected).resize(
        (10, 10), Image.Resampling.BICUBIC, (0, 0, 20, 20)
    )
    np.testing.assert_array_equal(quarter, np.asarray(box))


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_made_cases_of_orientation(cases, orientation):
    for suffix in ("jpg", "tif"):
        path = cases / "images" / f"orientation_{orientation}.{suffix}"
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(decode(path), expected)


def test_made_cases_of_many_bits_are_not_black(cases, capsys):
    for name, most in (("twelve_bit_in_16.tif", 4095), ("eight_bit_in_16.png", 255)):
        path = cases / "images" / name
        with Image.open(path) as image:
            values = np.asarray(image).astype(float)
        found = decode(path, 1)[..., 0]
        np.testing.assert_allclose(found, values * 255 / most, atol=1)
        assert found.max() > 250


def test_garbled_exif_does_not_spoil_the_image():
    content = encoded(noise(), "JPEG", exif=b"Exif\0\0garbage")
    assert decode(content).shape == (64, 64, 3)
    assert Crop(size=8)(content).shape == (8, 8, 3)


def test_the_suffix_does_not_matter(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encoded(noise()))
    np.testing.assert_array_equal(decode(path), np.asarray(noise()))


CUT = encoded(noise())[:4000]
BROKEN = {
    "empty": (b"", "the file is empty"),
    "text": (b"not an image", "none of BMP, GIF"),
    "header": (b"\x89PNG\r\n\x1a\n123", "none of BMP"),
    "cut_png": (CUT, "truncated"),
    "cut_jpeg": (encoded(noise(), "JPEG")[:2000], "truncated"),
    "cut_webp": (encoded(noise(), "WEBP")[:1000], ""),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "none of"),
    "float": (encoded(Image.new("F", (4, 4)), "TIFF"), "floats of unknown range"),
    "integer": (
        encoded(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF"),
        "integers of unknown range",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_unreadable_file_is_named(tmp_path, kind):
    content, reason = BROKEN[kind]
    path = tmp_path / f"{kind}.png"
    path.write_bytes(content)
    for read in (decode, Crop(size=4), lambda p: Crop(size=4)(p, 1)):
        with pytest.raises(ValueError, match=f"{kind}.png: not a readable.*{reason}"):
            read(path)
    with pytest.raises(ValueError, match="member 7: not a readable image"):
        decode(content, name="member 7")


def test_missing_file_is_another_matter(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        decode(tmp_path / "nowhere.png")


def test_images_that_would_fill_the_memory_are_refused():
    content = encoded(noise(50, 60))
    assert decode(content, most_pixels=3000).shape == (60, 50, 3)
    for read in (
        lambda: decode(content, most_pixels=2999),
        lambda: Crop(size=8, most_pixels=2999)(content),
    ):
        with pytest.raises(
            ValueError, match="3,000 pixels, more than 2,999; --data.mo"
        ):
            read()


def test_the_limit_is_ours_not_pillows(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # it would warn, then refuse
    assert decode(encoded(noise())).shape == (64, 64, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_center_crop_is_scale_then_cut():
    image = smooth(300, 200)
    once = Crop(size=112, method="bilinear")(encoded(image))
    scaled = image.resize((192, 128), Image.Resampling.BILINEAR)
    twice = np.asarray(scaled.crop((40, 8, 152, 120)))
    np.testing.assert_allclose(once.astype(int), twice, atol=2)
    assert center_box(300, 200, 1.0) == (50, 0, 250, 200)


def test_the_same_seed_cuts_the_same_part():
    content = encoded(noise(80, 60))
    first, again, other = (Crop(size=32)(content, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    pixels = np.asarray(noise(80, 60))
    np.testing.assert_array_equal(first, Crop(size=32)(pixels, 5))


def test_random_boxes_lie_within_and_follow_scale_and_ratio():
    draws = np.random.default_rng(0).random((2000, 2, TRIES + 1))
    boxes = np.array([random_box(draw, 80, 100, *WIDE) for draw in draws])
    top, left, down, across = boxes.T
    assert boxes.min() >= 0
    assert (top + down).max() <= 80 and (left + across).max() <= 100
    shape, share = across / down, across * down / 8000
    assert shape.min() > 0.7 and shape.max() < 1.42
    # By torchvision's rule the areas that do not fit are drawn again: less than 0.54.
    assert share.min() > 0.07 and 0.4 < share.mean() < 0.54


@pytest.mark.parametrize(
    "size, box",
    [
        ((1, 100), (0, 49, 1, 1)),
        ((100, 400), (0, 133, 100, 133)),
        ((90, 30), (25, 0, 40, 30)),
    ],
)
def test_what_fits_in_no_try_is_the_middle(size, box):
    draws = np.random.default_rng(0).random((2, TRIES + 1))
    found = random_box(draws, *size, (1.0, 1.0), (3 / 4, 4 / 3))
    assert tuple(found) == box


def test_large_jpegs_are_drafted_and_look_the_same(monkeypatch):
    content = encoded(smooth(1600, 1200), "JPEG", quality=95)
    sizes = []
    real = Image.Image.resize

    def watched(self, *args, **kwargs):
        sizes.append(self.size)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", watched)
    drafted = Crop(size=64)(content)
    plain = Crop(size=64)(encoded(smooth(1600, 1200)))
    assert sizes == [(200, 150), (1600, 1200)]
    np.testing.assert_allclose(drafted.astype(int), plain, atol=3)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"size": 0}, "size must be at least 1; got 0"),
        ({"channels": 4}, "channels must be 1 or 3; got 4"),
        ({"share": 1.5}, "share must be in"),
        ({"scale": (0.5, 0.1)}, "scale must be two numbers"),
        ({"scale": (0.5,)}, "scale must be two numbers that rise within"),
        ({"ratio": (2.0, 1.0)}, "ratio must be two positive numbers"),
        ({"bits": 9}, "bits must be 0 or one of 8, 10, 12, 14, 16; got 9"),
        ({"most_pixels": 0}, "most_pixels must be at least 1; got 0"),
        ({"method": "cubic"}, "method must be one of bilinear, bicubic, .* 'cubic'"),
    ],
)
def test_wrong_crops_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Crop(**({"size": 8} | wrong))


def test_a_large_image_is_reduced_before_it_is_copied(monkeypatch):
    image = smooth(900, 700)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(image, exif=exif)
    plain = Crop(size=40)(content)
    monkeypatch.setattr(decode_module, "_LARGE", 200_000)
    sizes, real = [], Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda self, *args, **kw: sizes.append(self.size) or real(self, *args, **kw),
    )
    reduced = Crop(size=40)(content)
    assert sizes == [(100, 129)]  # upright, a seventh
    np.testing.assert_allclose(reduced.astype(int), plain, atol=5)


@pytest.mark.parametrize("kind", ["pipe", "zero"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for read in (decode, Crop(size=8), lambda p: Paths(p.parent, [p.name]).read(0)):
        with pytest.raises(ValueError, match="a.png: must be a file; got a (pipe|dev)"):
            read(path)


def test_a_palette_s_transparent_colours_are_white():
    image = Image.new("P", (4, 4))
    image.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    image.paste(1, (0, 2, 4, 4))
    for transparency in (0, bytes([0, 255] + [128] * 254)):
        pixels = decode(encoded(image, transparency=transparency))
        assert (pixels[:2] == 255).all() and (pixels[2:] == (255, 0, 0)).all()


@pytest.mark.parametrize("what", ["profile", "text"])
def test_large_metadata_do_not_spoil_a_png(what):
    """Pillow refuses a picture for a megabyte of them; editors write more."""
    options = {"icc_profile": bytes(3_000_000)}
    if what == "text":
        options = {"pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_text("history", "x" * 3_000_000, zip=True)
    before = PngImagePlugin.MAX_TEXT_CHUNK
    picture = noise(9, 7)
    np.testing.assert_array_equal(
        decode(encoded(picture, **options)), np.asarray(picture)
    )
    assert before == PngImagePlugin.MAX_TEXT_CHUNK


@pytest.mark.parametrize("size", [(1, 2000), (3000, 1)])
def test_slivers_become_squares(size):
    whole = resized_box(
        encoded(Image.new("RGB", size, "red")), 8, lambda w, h: (0, 0, w, h)
    )
    assert whole.shape == (8, 8, 3) and (whole == (255, 0, 0)).all()


def test_the_first_of_a_camera_s_two_pictures():
    """MPO: phones write it with the suffix .jpg."""
    first, second = (
        Image.new("RGB", (16, 16), "red"),
        Image.new("RGB", (16, 16), "lime"),
    )
    content = encoded(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_allclose(decode(content)[8, 8], (255, 0, 0), atol=3)
