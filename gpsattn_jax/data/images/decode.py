"""One decoder for every image: files or bytes -> uint8 pixels, or an error by name."""

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from gpsattn_jax.data.images.deep_pixels import (
    check_colours,
    declared_bits,
    has_high_bytes,
    to_eight_bits,
)
from gpsattn_jax.reader_errors import open_regular

Source = str | os.PathLike | bytes | np.ndarray
Box = tuple[float, float, float, float]  # left, upper, right, lower

# What Pillow may try, whatever a file's suffix says. EPS is not among them: for it
# Pillow would start another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png",
    ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
METHODS = ("bilinear", "bicubic", "lanczos")
# Twice Pillow's own limit, which is where it stops warning and refuses.
MOST_PIXELS = 178_956_970
MOST_BYTES = 2**30  # of a file
# Of a PNG's text or colour profile, which are not looked at; Pillow refuses a picture
# for more than 1 MB of it.
_MOST_TEXT = 2**26

# EXIF's orientations, and what turns an image upright; from 5 on sides are swapped.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
# Beyond so many pixels an image is reduced as soon as it is decoded, and decoded alone
# in its process: in full it takes hundreds of megabytes, in each step after that again.
_LARGE = 2**24
_ROWS = 32  # of the reduced image, made at once
_DRAFTED = ("JPEG", "MPO")  # decoded at a fraction, of which the size is known first
_PLAIN = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")  # what can be reduced
_ALONE = threading.RLock()
_OPENING = threading.Lock()


def decode(
    source: Source,
    channels: int = 3,
    *,
    name: str = "",
    bits: int = 0,
    most_pixels: int = MOST_PIXELS,
) -> np.ndarray:
    """A whole image: upright, and on white where it is transparent.

    Grey of more than 8 bits is scaled to 8; of an animation the first picture is taken.

    Args:
        source: a path, a file's bytes, or uint8 pixels [H, W, 1 or 3].
        channels: 1 (grey) or 3 (RGB).
        name: what errors call the image; its path by default.
        bits: that grey of more than 8 bits uses; see `to_eight_bits`.
        most_pixels: an image of more is refused.

    Returns:
        [H, W, channels] uint8.

    Raises:
        ValueError: `NAME: not a readable image: why`.
        OSError: if there is no such file, or it may not be read.
    """
    with _open_image(source, name, most_pixels) as image, _memory_for(image):
        return _array(_flat(_decode_pixels(image, 1, bits, name), channels))


def resized_box(
    source: Source,
    size: int,
    choose_box: Callable[[int, int], Box],
    channels: int = 3,
    *,
    method: str = "bicubic",
    name: str = "",
    bits: int = 0,
    most_pixels: int = MOST_PIXELS,
) -> np.ndarray:
    """A box of an image, scaled with antialiasing to a square.

    A JPEG much larger than needed is decoded at a half, a quarter or an eighth; any
    other image of more than 16 megapixels is reduced before all else, to twice what is
    needed or more.

    Args:
        source: as for `decode`.
        size: pixels of a side of the result.
        choose_box: (width, height) of the upright image -> the box.
        channels: 1 (grey) or 3 (RGB).
        method: one of `METHODS`.
        name: as for `decode`.
        bits: likewise.
        most_pixels: likewise.

    Returns:
        [size, size, channels] uint8.

    Raises:
        ValueError: `NAME: not a readable image: why`, or an unknown method.
        OSError: as for `decode`.
    """
    from PIL import Image

    check_method(method)
    resample = Image.Resampling[method.upper()]
    with (
        _open_image(source, name, most_pixels) as image,
        contextlib.ExitStack() as stack,
    ):
        if image.format not in _DRAFTED:
            stack.enter_context(_memory_for(image))
        width, height = _upright_size(image)
        left, upper, right, lower = choose_box(width, height)
        shrink = min(right - left, lower - upper) / size
        _draft(image, shrink)
        with _memory_for(image):
            flat = _flat(_decode_pixels(image, shrink, bits, name), channels)
        across, down = flat.width / width, flat.height / height
        right, lower = min(right * across, flat.width), min(lower * down, flat.height)
        box = (left * across, upper * down, right, lower)
        return _array(flat.resize((size, size), resample, box=box))


def check_method(method: str) -> None:
    """Raises ValueError if it is none of `METHODS`."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")


@contextlib.contextmanager
def _open_image(source: Source, name: str, most_pixels: int) -> Iterator[Any]:
    """The image, not yet decoded; whatever goes wrong with it bears its name."""
    from PIL import Image

    with contextlib.ExitStack() as stack:
        if not isinstance(source, bytes | np.ndarray):
            # That a file is missing is not the same as that it is broken: not in the
            # `try`.
            name = name or os.fspath(source)
            file: BinaryIO = stack.enter_context(open_regular(source, MOST_BYTES))
        elif isinstance(source, bytes):
            file = io.BytesIO(source)
        try:
            if isinstance(source, np.ndarray):
                yield _from_array(source)
                return
            if not file.read(1):
                raise ValueError("the file is empty")
            with _from_file(file) as image:
                _check_pixels(image, most_pixels)
                yield image
        except MemoryError:
            raise
        except Exception as error:  # decoders raise all sorts of things
            unknown = isinstance(error, Image.UnidentifiedImageError)
            reason = f"none of {', '.join(FORMATS)}" if unknown else error
            raise ValueError(
                f"{name or 'image'}: not a readable image: {reason}"
            ) from error


def _from_file(file):
    """Reads the header. How much there may be of it is ours to say, not Pillow's."""
    from PIL import Image, PngImagePlugin

    file.seek(0)
    with _OPENING:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        text, PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_CHUNK, _MOST_TEXT
        try:
            return Image.open(file, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = most
            PngImagePlugin.MAX_TEXT_CHUNK = text


def _from_array(pixels):
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(
            f"pixels must be uint8 [H, W, 1 or 3]; got {pixels.dtype} {pixels.shape}"
        )
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _check_pixels(image, most):
    """Refuses a small file that would fill the memory."""
    pixels = image.width * image.height
    if pixels > most:
        raise ValueError(
            f"it has {pixels:,} pixels, more than {most:,}; --data.most_pixels sets "
            "the limit"
        )


@contextlib.contextmanager
def _memory_for(image):
    """Large images are decoded one after the other."""
    with _ALONE if _is_large(image) else contextlib.nullcontext():
        yield


def _is_large(image):
    return image.width * image.height > _LARGE


def _orientation(image):
    """1 to 8; 1, upright, also where EXIF is garbled and the image may be whole."""
    from PIL import ExifTags

    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # parsers raise all sorts of things for garbled headers
        return 1


def _upright_size(image):
    """Width and height of the upright image; a PNG is decoded for it."""
    # Pillow turns a TIFF by itself when it decodes it, and gives the turned size.
    swapped = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
    return image.size[::-1] if swapped else image.size


def _draft(image, shrink):
    """Lets a JPEG be decoded smaller, but at twice the wanted size or more."""
    parts = next((parts for parts in (8, 4, 2) if shrink >= 2 * parts), None)
    if parts:
        image.draft(None, (image.width // parts, image.height // parts))


def _decode_pixels(image, shrink, bits, name):
    """Upright pixels of 8 bits a channel; large ones at a fraction of their size."""
    from PIL import Image

    declared, high_bytes = declared_bits(image), has_high_bytes(image)
    image.load()  # a TIFF is turned here, and loses the orientation
    turn = _UPRIGHT.get(_orientation(image))
    check_colours(image, high_bytes)
    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range")
    if image.mode.startswith("I"):  # which `convert` would clip
        values = to_eight_bits(np.asarray(image), bits, declared, name)
        image = Image.fromarray(values)
    image = _reduce_large(image, int(shrink // 2))
    return image.transpose(Image.Transpose[turn]) if turn else image


def _reduce_large(image, parts):
    """A large image at a whole fraction of its size, before it is copied again."""
    from PIL import Image

    if parts < 2 or image.mode not in _PLAIN or not _is_large(image):
        return image
    width, height = image.size
    small = Image.new(image.mode, (-(-width // parts), -(-height // parts)))
    for row in range(0, small.height, _ROWS):  # to reduce with alpha makes a copy
        lower = min(height, (row + _ROWS) * parts)
        strip = image.crop((0, row * parts, width, lower))
        small.paste(strip.reduce(parts), (0, row))
    image.im = None  # gives the memory of the whole back
    return small


def _flat(image, channels):
    """Without transparency, grey or RGB."""
    from PIL import Image

    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3; got {channels}")
    if image.has_transparency_data:
        ink = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", ink.size, "white"), ink)
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _array(image):
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
