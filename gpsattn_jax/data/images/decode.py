"""One decoder for every image: files or bytes -> uint8 pixels, or an error by name."""

import contextlib
import io
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Source = str | os.PathLike | bytes | np.ndarray
Box = tuple[float, float, float, float]  # left, upper, right, lower

# What Pillow may try, whatever a file's suffix says. EPS is not among them: for it
# Pillow would start another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
METHODS = ("bilinear", "bicubic", "lanczos")

# EXIF's orientations, and what turns an image upright; from 5 on sides are swapped.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip


def decode(source: Source, channels: int = 3, *, name: str = "") -> np.ndarray:
    """A whole image: upright, and on white where it is transparent.

    16-bit grey is scaled to 8 bits; of an animation the first picture is taken.

    Args:
        source: a path, a file's bytes, or uint8 pixels [H, W, 1 or 3].
        channels: 1 (grey) or 3 (RGB).
        name: what errors call the image; its path by default.

    Returns:
        [H, W, channels] uint8.

    Raises:
        ValueError: `NAME: not a readable image: why`.
        OSError: if there is no such file, or it may not be read.
    """
    with _opened(source, name) as image:
        return _array(_flat(image, channels))


def resized_box(
    source: Source,
    size: int,
    choose_box: Callable[[int, int], Box],
    channels: int = 3,
    *,
    method: str = "bicubic",
    name: str = "",
) -> np.ndarray:
    """A box of an image, scaled with antialiasing to a square.

    A JPEG much larger than needed is decoded at a half, a quarter or an eighth.

    Args:
        source: as for `decode`.
        size: pixels of a side of the result.
        choose_box: (width, height) of the upright image -> the box.
        channels: 1 (grey) or 3 (RGB).
        method: one of `METHODS`.
        name: as for `decode`.

    Returns:
        [size, size, channels] uint8.

    Raises:
        ValueError: `NAME: not a readable image: why`, or an unknown method.
        OSError: as for `decode`.
    """
    from PIL import Image

    check_method(method)
    resample = Image.Resampling[method.upper()]
    with _opened(source, name) as image:
        swapped = _orientation(image) >= 5
        width, height = image.size[::-1] if swapped else image.size
        left, upper, right, lower = choose_box(width, height)
        _draft(image, min(right - left, lower - upper) / size)
        flat = _flat(image, channels)
        across, down = flat.width / width, flat.height / height
        right, lower = min(right * across, flat.width), min(lower * down, flat.height)
        box = (left * across, upper * down, right, lower)
        return _array(flat.resize((size, size), resample, box=box))


def check_method(method: str) -> None:
    """Raises ValueError if it is none of `METHODS`."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")


@contextlib.contextmanager
def _opened(source: Source, name: str) -> Iterator[Any]:
    """The image, not yet decoded; whatever goes wrong with it bears its name."""
    from PIL import Image

    if not isinstance(source, bytes | np.ndarray):
        # That a file is missing is not the same as that it is broken: not in the `try`.
        name, source = name or os.fspath(source), pathlib.Path(source).read_bytes()
    try:
        if isinstance(source, np.ndarray):
            yield _from_array(source)
            return
        if not source:
            raise ValueError("the file is empty")
        with Image.open(io.BytesIO(source), formats=FORMATS) as image:
            _check_pixels(image)
            yield image
    except MemoryError:
        raise
    except Exception as error:  # decoders raise all sorts of things for broken files
        unknown = isinstance(error, Image.UnidentifiedImageError)
        reason = f"none of {', '.join(FORMATS)}" if unknown else error
        raise ValueError(
            f"{name or 'image'}: not a readable image: {reason}"
        ) from error


def _from_array(pixels):
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(
            f"pixels must be uint8 [H, W, 1 or 3]; got {pixels.dtype} {pixels.shape}"
        )
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _check_pixels(image):
    """Refuses what Pillow only warns about: a small file that would fill the memory."""
    from PIL import Image

    pixels, most = image.width * image.height, Image.MAX_IMAGE_PIXELS
    if most is not None and pixels > most:
        raise ValueError(f"it has {pixels:,} pixels, more than {most:,}")


def _orientation(image):
    """1 to 8; 1, upright, also where EXIF is garbled and the image may be whole."""
    from PIL import ExifTags

    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # parsers raise all sorts of things for garbled headers
        return 1


def _draft(image, shrink):
    """Lets a JPEG be decoded smaller, but at twice the wanted size or more."""
    parts = next((parts for parts in (8, 4, 2) if shrink >= 2 * parts), None)
    if parts:
        image.draft(None, (image.width // parts, image.height // parts))


def _flat(image, channels):
    """Decodes: upright, 8 bits, without transparency, grey or RGB."""
    from PIL import Image

    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3; got {channels}")
    turn = _UPRIGHT.get(_orientation(image))
    upright = image.transpose(Image.Transpose[turn]) if turn else image
    if upright.mode == "F":
        raise ValueError("its pixels are floats of unknown range")
    if upright.mode.startswith("I"):  # 16 bits, which `convert` would clip
        values = np.asarray(upright)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels are integers of unknown range")
        upright = Image.fromarray((values // 257).astype(np.uint8))
    if upright.has_transparency_data:
        ink = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", ink.size, "white"), ink)
    return upright.convert("L" if channels == 1 else "RGB")


def _array(image):
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
