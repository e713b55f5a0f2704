"""Image sets, and a user's own image files, as arrays."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Labelled images of one size.

    Attributes:
        images: [n, H, W, C] float32 in 0..1.
        labels: [n] int32.
        class_names: a name for each class.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        """How many images."""
        return len(self.images)

    def __getitem__(self, chosen: np.ndarray) -> "ImageSet":
        """The images at some places."""
        return ImageSet(self.images[chosen], self.labels[chosen], self.class_names)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images, and what training does to them.

    Attributes:
        name: a key of `SETS`.
        mean: subtracted from each channel (of values in 0..1) before the network.
        std: divides each channel after that.
        degrees: augmentation: rotation by up to this angle.
        zoom: augmentation: scaling by up to this share.
        shift: augmentation: rows and columns move by up to this many pixels.
        shear: augmentation: columns move by up to this many pixels for each row.
    """

    name: str = "digits"
    mean: tuple[float, ...] = (0.305,)
    std: tuple[float, ...] = (0.376,)
    degrees: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    shear: float = 0.0


def load(name: str) -> dict[str, ImageSet]:
    """A set by name: {"train", "validation", "test"}.

    Raises:
        ValueError: lists the names there are.
    """
    if name not in SETS:
        raise ValueError(f"data.name must be one of {', '.join(SETS)}; got {name!r}.")
    return SETS[name]()


def digits() -> dict[str, ImageSet]:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, in a fixed split.

    Alpaydin and Kaynak 1998, the test part of the UCI set; it is embedded in the
    package, so nothing is fetched. The split is stratified and drawn once, with seed 0.

    Returns:
        {"train": 1,167, "validation": 180, "test": 450 images}.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    source = load_digits()
    whole = ImageSet(
        (source.images[..., None] / 16).astype(np.float32),
        source.target.astype(np.int32),
        tuple(str(name) for name in source.target_names),
    )
    rest, test = train_test_split(
        np.arange(len(whole)), test_size=450, stratify=whole.labels, random_state=0
    )
    train, validation = train_test_split(
        rest, test_size=180, stratify=whole.labels[rest], random_state=0
    )
    return {"train": whole[train], "validation": whole[validation], "test": whole[test]}


SETS = {"digits": digits}


def find_images(pattern: str | os.PathLike) -> list[pathlib.Path]:
    """The image files of a folder (searched to the bottom), a glob pattern, or a file.

    Raises:
        FileNotFoundError: if there are none.
    """
    path = pathlib.Path(pattern)
    if path.is_dir():
        found = _image_files(path.rglob("*"))
    elif path.exists():
        found = [path]
    else:
        root = pathlib.Path(path.anchor or ".")
        found = _image_files(root.glob(str(path.relative_to(path.anchor))))
    if not found:
        raise FileNotFoundError(
            f"{pattern}: no images there; looked for {', '.join(IMAGE_SUFFIXES)}."
        )
    return sorted(found)


def read_images(
    paths: Sequence[str | os.PathLike], size: int, channels: int
) -> np.ndarray:
    """Image files -> [n, size, size, channels] float32 in 0..1.

    The shorter side is scaled to `size`, the middle is cut out.

    Args:
        paths: any format that Pillow reads.
        size: pixels of a side.
        channels: 1 (grey) or 3 (RGB).

    Raises:
        ValueError: names the file that is no readable image.
    """
    return np.stack([_read_image(path, size, channels) for path in paths])


def _image_files(paths):
    return [p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]


def _read_image(path, size, channels):
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            flat = _flatten(ImageOps.exif_transpose(image))
            flat = flat.convert("L" if channels == 1 else "RGB")
            fitted = ImageOps.fit(flat, (size, size), Image.Resampling.BICUBIC)
    except Exception as error:  # decoders raise all sorts of things for broken files
        raise ValueError(f"{path}: not a readable image: {error}") from error
    return np.asarray(fitted, np.float32).reshape(size, size, channels) / 255


def _flatten(image):
    """An image without transparency (on white paper), of 8 bits."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits, which `convert` would clip
        return Image.fromarray(np.uint8(np.asarray(image) // 257))
    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range")
    if image.has_transparency_data:
        ink = image.convert("RGBA")
        paper = Image.new("RGBA", ink.size, "white")
        return Image.alpha_composite(paper, ink)
    return image
