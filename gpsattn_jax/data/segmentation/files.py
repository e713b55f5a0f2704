"""Pictures and masks as files, decoded when a batch asks for them."""

import dataclasses
import os

import numpy as np

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.images.decode import MOST_BYTES, decode
from gpsattn_jax.data.segmentation.crops import random_crop
from gpsattn_jax.data.segmentation.sources import IGNORE, batch_of
from gpsattn_jax.data.threads import in_threads
from gpsattn_jax.reader_errors import open_regular, readable


@dataclasses.dataclass(frozen=True)
class MaskedFiles:
    """Pictures of any size with PNG masks; a `Source` of random crops.

    Attributes:
        pictures: their files.
        masks: a file for each.
        class_names: a name for each class.
        size: pixels of a side of a crop.
        channels: 1 or 3.
        scale: range of the factor by which a picture is scaled before it is cropped.
        threads: decode at once; 0 takes one for each processor.
        held_out: see `Masked`.
    """

    pictures: tuple[str, ...]
    masks: tuple[str, ...]
    class_names: tuple[str, ...]
    size: int
    channels: int = 3
    scale: tuple[float, ...] = (1.0, 1.0)
    threads: int = 0
    held_out: bool = False

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.pictures)

    def take(self, places: np.ndarray) -> "MaskedFiles":
        """The pictures at some places."""
        pictures, masks = (
            tuple(files[int(place)] for place in places)
            for files in (self.pictures, self.masks)
        )
        return dataclasses.replace(self, pictures=pictures, masks=masks)

    def name(self, place: int) -> str:
        """The picture's file."""
        return self.pictures[place]

    def whole(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """A picture [H, W, C] and its mask [H, W], uint8.

        Raises:
            ValueError: names the file that is unreadable, of another size than its
                picture, or has a number that is no class.
        """
        picture = decode(self.pictures[place], self.channels)
        mask = read_mask(self.masks[place], len(self.class_names))
        check_sizes(self.masks[place], mask, self.pictures[place], picture)
        return picture, mask

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """Random crops, one of each picture.

        Args:
            places: [k].
            seeds: [k], one for each crop; None takes zeros.

        Returns:
            {"inputs": {"images": [k, size, size, channels]}, "targets": {"mask": [k,
            size, size]}}, uint8; the number of threads changes nothing.
        """
        seeds = np.zeros(len(places), int) if seeds is None else seeds

        def crop(row):
            draw = np.random.default_rng(int(seeds[row]))
            return random_crop(
                *self.whole(int(places[row])), self.size, self.scale, draw
            )

        return batch_of(in_threads(crop, range(len(places)), self.threads))


def read_mask(path: str | os.PathLike, num_classes: int) -> np.ndarray:
    """A PNG of class numbers, grey or with a palette, whose colours play no part.

    Args:
        path: the file.
        num_classes: numbers are below this, or `IGNORE`.

    Returns:
        [H, W] uint8.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such PNG, or a number is no class.
    """
    from PIL import Image

    with (
        readable(path, "PNG mask"),
        open_regular(path, MOST_BYTES) as file,
        Image.open(file, formats=("PNG",)) as image,
    ):
        if image.mode not in ("1", "L", "P"):
            raise ValueError(
                f"{path}: must be a PNG of class numbers, in grey of 8 bits or with a "
                f"palette; got mode {image.mode}."
            )
        mask = np.asarray(image).astype(np.uint8)
    numbers = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    wrong = numbers[(numbers >= num_classes) & (numbers != IGNORE)]
    if wrong.size:
        raise ValueError(
            f"{path}: its numbers must be classes, from 0 to {num_classes - 1}, or "
            f"{IGNORE} for what does not count; got {', '.join(map(str, wrong[:5]))}."
        )
    return mask


def check_sizes(
    mask_file: str, mask: np.ndarray, picture_file: str, picture: np.ndarray
) -> None:
    """Raises ValueError naming a mask that is not as large as its picture."""
    if mask.shape != picture.shape[:2]:
        (height, width), (rows, columns) = picture.shape[:2], mask.shape
        raise ValueError(
            f"{mask_file}: must be {width} x {height} pixels, as {picture_file} "
            f"(upright); got {columns} x {rows}."
        )
