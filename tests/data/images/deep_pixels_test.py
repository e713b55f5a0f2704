"""Pixels of more than 8 bits: by the declared range, or by the one that is found."""

import io

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from gpsattn_jax.data.images import deep_pixels
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decode import decode
from gpsattn_jax.data.images.deep_pixels import to_eight_bits


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(deep_pixels, "_SAID", set())


def ramp(most):
    return np.linspace(0, most, 64).round().reshape(8, 8).astype(np.uint16)


def encoded(values, suffix, **options):
    file = io.BytesIO()
    Image.fromarray(values).save(file, suffix, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_least_range_that_fits_is_found_and_said(suffix, bits, capsys):
    values = ramp(2**bits - 1)
    found = decode(encoded(values, suffix), 1, name="a.png")[..., 0]
    np.testing.assert_array_equal(found, values.astype(int) * 255 // (2**bits - 1))
    text = capsys.readouterr().err
    assert (f"a.png: pixels of 16 bits are read as {bits} bits (found" in text) == (
        bits < 16
    )
    decode(encoded(values, suffix), 1)
    assert capsys.readouterr().err == ""


def test_a_declared_range_is_taken(capsys):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 4095
    tags.tagtype[281] = 3
    dark = ramp(200)
    found = decode(encoded(dark, "TIFF", tiffinfo=tags), 1)[..., 0]
    np.testing.assert_array_equal(found, dark.astype(int) * 255 // 4095)
    assert "12 bits (declared)" in capsys.readouterr().err


def test_a_declared_range_that_is_exceeded_is_not():
    found = to_eight_bits(ramp(65535), declared=12)
    np.testing.assert_array_equal(found, ramp(65535) // 257)


def test_a_set_range_holds_for_every_picture(capsys):
    dark = ramp(200)
    found = decode(encoded(dark, "PNG"), 1, bits=12)[..., 0]
    np.testing.assert_array_equal(found, dark.astype(int) * 255 // 4095)
    assert Crop(size=8, bits=16, share=1.0)(encoded(dark, "PNG")).max() == 0
    assert capsys.readouterr().err == ""
    assert to_eight_bits(ramp(5000), 12).max() == 255  # beyond it all is white


def test_a_pgm_says_its_greatest_value():
    body = np.array([0, 100, 1000, 4095], ">u2").tobytes()
    found = decode(b"P5 4 1 4095\n" + body, 1)[0, :, 0]
    np.testing.assert_array_equal(found, [0, 6, 62, 255])


def test_colours_of_which_the_decoder_drops_the_lower_byte_are_refused():
    def png(most):
        """A PNG of 16-bit colours, by hand: Pillow writes none."""
        import struct
        import zlib

        rows = b"".join(b"\0" + np.full(12, most, ">u2").tobytes() for _ in range(4))
        chunks = [
            (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        ]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body))
            + kind
            + body
            + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )

    assert decode(png(65535)).min() == 255
    for most in (4095, 255):
        with pytest.raises(ValueError, match="use 12 bits or fewer.*save it with 8"):
            decode(png(most))
