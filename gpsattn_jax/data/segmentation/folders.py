"""A user's own pictures and masks: ROOT/images/NAME.jpg with ROOT/masks/NAME.png."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.images.decode import decode
from gpsattn_jax.data.images.parts import PART_NAMES
from gpsattn_jax.data.images.sources import find_images
from gpsattn_jax.data.segmentation.files import MaskedFiles, check_sizes, read_mask
from gpsattn_jax.data.threads import in_threads
from gpsattn_jax.progress import with_progress
from gpsattn_jax.reader_errors import read_text

CLASSES_FILE = "classes.txt"  # one name a line, class 0 first
IMAGES, MASKS = "images", "masks"


def read_folder(
    root: str | os.PathLike, num_classes: int, size: int, channels: int
) -> dict[str, MaskedFiles]:
    """The parts of a folder: of `images/` and `masks/`, or of `train/`, `val/`, … .

    Args:
        root: holds `images/` and `masks/`, which are all taken for training; or folders
            `train`, and perhaps `val` and `test`, that each hold both. A `classes.txt`
            beside them names the classes.
        num_classes: how many there are.
        size: pixels of a side of a crop.
        channels: 1 or 3.

    Raises:
        FileNotFoundError: if there is no such folder, or a picture has no mask.
        ValueError: names the mask that is unreadable, of another size than its picture,
            or has a number that is no class; or says how many classes there must be.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder of pictures and masks.")
    names = class_names(root, num_classes)
    found = {
        part: read_part(folder, names, size, channels)
        for part, folder in _parts(root).items()
    }
    if "train" not in found:
        raise FileNotFoundError(
            f"{root}: must hold {IMAGES}/ and {MASKS}/, or train/ with both."
        )
    return found


def read_part(
    folder: str | os.PathLike, names: Sequence[str], size: int, channels: int
) -> MaskedFiles:
    """The pictures of one folder with their masks, each of which is looked at.

    The arguments, errors and the result are those of `read_folder`, for one part.
    """
    folder = pathlib.Path(folder)
    pictures = find_images(folder / IMAGES)
    masks = [
        (folder / MASKS / picture.relative_to(folder / IMAGES)).with_suffix(".png")
        for picture in pictures
    ]
    lacking = [mask for mask in masks if not mask.is_file()]
    if lacking:
        raise FileNotFoundError(
            f"{lacking[0]}: no such mask; each picture of {folder / IMAGES} needs a "
            f"PNG of its name in {folder / MASKS}. {len(lacking)} of {len(masks)} lack."
        )
    pairs = list(zip(map(str, pictures), map(str, masks), strict=True))

    def check(pair):
        picture, mask = pair
        check_sizes(mask, read_mask(mask, len(names)), picture, decode(picture))

    checks = in_threads(check, pairs, 0)
    for _ in with_progress(checks, len(pairs), "Checking masks"):
        pass
    return MaskedFiles(
        tuple(picture for picture, _ in pairs),
        tuple(mask for _, mask in pairs),
        tuple(names),
        size,
        channels,
    )


def class_names(root: pathlib.Path, num_classes: int) -> tuple[str, ...]:
    """Names from a folder's `classes.txt`; numbers where there is none.

    Raises:
        ValueError: if it names another number of classes.
    """
    path = root / CLASSES_FILE
    if not path.exists():
        return tuple(f"class {number}" for number in range(num_classes))
    lines = read_text(path, "class names", 2**20).splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != num_classes:
        raise ValueError(
            f"{path}: must name model.num_classes={num_classes} classes, one a line; "
            f"got {len(names)}."
        )
    return names


def hold_out(pictures: MaskedFiles, count: int) -> tuple[MaskedFiles, MaskedFiles]:
    """(the rest, `count` pictures), drawn once with seed 0.

    Raises:
        ValueError: if too few would be left.
    """
    if not 0 < count < len(pictures):
        raise ValueError(
            "data.validation_pictures must be from 1 to fewer than the "
            f"{len(pictures)} pictures they are taken from; got {count}."
        )
    order = np.random.default_rng(0).permutation(len(pictures))
    rest, drawn = (
        pictures.take(np.sort(part)) for part in (order[count:], order[:count])
    )
    return rest, dataclasses.replace(drawn, held_out=True)


def _parts(root):
    """Folders that hold pictures, by part."""
    if (root / IMAGES).is_dir():
        return {"train": root}
    return {
        part: root / name
        for part, names in PART_NAMES.items()
        for name in names
        if (root / name / IMAGES).is_dir()
    }
