"""Sets of pictures with masks by name."""

import dataclasses
import os
import pathlib
from typing import Annotated

from gpsattn_jax.configs import Checked, at_least, one_of
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.segmentation.folders import hold_out, read_folder
from gpsattn_jax.data.segmentation.sources import Masked
from gpsattn_jax.data.segmentation.textured_digits import textured_digits

NAMES = ("textured_digits", "folder")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Checked, prefix="data."):
    """Which pictures with masks.

    Attributes:
        name: textured_digits, or folder.
        folder: for name=folder: holds images/ and masks/, or train/, val/ and test/
            with both; masks are PNGs of class numbers, 255 for what does not count.
        validation_pictures: of a folder: so many are held out of the training part for
            each part that is not there.
        mean: subtracted from each channel (of values in 0..1) before the network.
        std: divides each channel after that.
        workers: processes that decode; 0 decodes in threads.
    """

    name: Annotated[str, one_of(NAMES)] = "textured_digits"
    folder: str = ""
    validation_pictures: Annotated[int, at_least(1)] = 50
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    workers: int = 0


def load(
    config: DataConfig,
    data_dir: str | os.PathLike | None = None,
    *,
    num_classes: int,
    size: int,
    channels: int,
    scale: tuple[float, ...] = (1.0, 1.0),
) -> dict[str, Masked]:
    """A set: {"train", "validation", "test"}.

    Of a folder that has no test part, the validation part is the test part; what is
    lacking then is held out of the training part.

    Args:
        config: which.
        data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.
        num_classes: of a folder: how many classes its masks have.
        size: of a folder: pixels of a side of a crop.
        channels: of a folder: 1 or 3.
        scale: of a folder: see `AugmentConfig`.

    Raises:
        FileNotFoundError: names what is missing.
        ValueError: names the field or file that does not fit.
    """
    if config.name == "textured_digits":
        return dict(textured_digits())
    if not config.folder:
        raise ValueError("data.folder must name the folder of images/ and masks/.")
    root = (data_folder(data_dir) or pathlib.Path()) / config.folder
    found = read_folder(root, num_classes, size, channels)
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    for part in ("test", "validation"):
        if part not in found:
            found["train"], found[part] = hold_out(
                found["train"], config.validation_pictures
            )
    # Each worker process decodes in one thread.
    threads = 1 if config.workers else 0
    found["train"] = dataclasses.replace(found["train"], scale=scale, threads=threads)
    return dict(found)
