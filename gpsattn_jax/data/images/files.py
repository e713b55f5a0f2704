"""Image files that are decoded when a batch asks for them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.images.byte_stores import ByteStore, Paths
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.threads import in_threads


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Labelled image files, decoded on demand; a `Source` of batches.

    Attributes:
        store: the files.
        labels: [n] int32.
        class_names: a name for each class.
        crop: how an image becomes a square of fixed size.
        threads: decode at once; Pillow leaves the interpreter free meanwhile. 0 takes
            one for each processor.
    """

    store: ByteStore
    labels: np.ndarray
    class_names: tuple[str, ...]
    crop: Crop
    threads: int = 0

    def __post_init__(self) -> None:
        if len(self.store) != len(self.labels):
            raise ValueError(
                f"labels must be one for each of the {len(self.store)} files; "
                f"got {len(self.labels)}."
            )
        if self.threads < 0:
            raise ValueError(f"threads must be at least 0; got {self.threads}.")

    @property
    def crops_by_seed(self) -> bool:
        """True, as a part is cut out before it is scaled, so that it stays sharp."""
        return True

    def __len__(self) -> int:
        """How many images."""
        return len(self.labels)

    def take(self, places: np.ndarray) -> "ImageFiles":
        """The images at some places."""
        return dataclasses.replace(
            self, store=self.store.take(places), labels=self.labels[places]
        )

    def name(self, place: int) -> str:
        """An image's file, as messages have it."""
        return self.store.name(place)

    def image(self, place: int, seed: int | None = None) -> np.ndarray:
        """One image [size, size, channels] uint8; see `batch`.

        Raises:
            ValueError: `FILE: not a readable image: why`.
        """
        return self.crop(self.store.read(place), seed, name=self.name(place))

    def readable_batch(self, places: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
        """As `batch` without seeds, but what cannot be read is black and named.

        Args:
            places: [k].

        Returns:
            (images [k, size, size, channels] uint8, why by row for the unreadable).
        """
        side = self.crop.size
        images = np.zeros((len(places), side, side, self.crop.channels), np.uint8)

        def fill(row):
            try:
                images[row] = self.image(int(places[row]))
            except (ValueError, OSError) as error:
                return str(error)
            return ""

        reasons = in_threads(fill, range(len(places)), self.threads)
        return images, {row: reason for row, reason in enumerate(reasons) if reason}

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """Decodes some images.

        Args:
            places: [k].
            seeds: [k]; each cuts a random part out of its image. None: the middle.

        Returns:
            {"inputs": {"images": [k, size, size, channels] uint8},
            "targets": {"label": [k] int32}}; the number of threads changes nothing.

        Raises:
            ValueError: `FILE: not a readable image: why`.
        """
        side = self.crop.size
        images = np.empty((len(places), side, side, self.crop.channels), np.uint8)

        def fill(row):
            seed = None if seeds is None else int(seeds[row])
            images[row] = self.image(int(places[row]), seed)

        for _ in in_threads(fill, range(len(places)), self.threads):
            pass
        return {"inputs": {"images": images}, "targets": {"label": self.labels[places]}}


def files_of(
    paths: Sequence[str], crop: Crop, class_names: Sequence[str] = ()
) -> ImageFiles:
    """Image files without labels, which are all 0.

    Args:
        paths: of the files.
        crop: how an image becomes a square.
        class_names: of the network that will be asked.
    """
    nothing = np.zeros(len(paths), np.int32)
    return ImageFiles(Paths("", paths), nothing, tuple(class_names), crop)
