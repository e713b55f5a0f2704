"""Image sets by name: digits, CIFAR-100, Imagenette, ImageNet, folders, TFDS."""

import dataclasses
import os
from collections.abc import Sequence

from gpsattn_jax.configs import Checked
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.images.bad_files import without_bad
from gpsattn_jax.data.images.class_folders import read_labelled
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decode import MOST_PIXELS
from gpsattn_jax.data.images.decoded_cache import with_decoded_cache
from gpsattn_jax.data.images.held_out import split_evenly
from gpsattn_jax.data.images.labelled_sets import (
    LabelledSets,
    class_counts,
    class_list,
)
from gpsattn_jax.data.images.named_sets import FILES, IN_MEMORY, cifar100, digits

__all__ = [
    "FILES", "IN_MEMORY", "DataConfig", "check_same_classes", "cifar100", "digits",
    "evaluation_crop", "load", "load_labelled",
]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Checked, prefix="data."):
    """Which images.

    Attributes:
        name: a key of `IN_MEMORY` or `FILES`, or tfds:NAME for a TensorFlow dataset.
        folder: for name=folder: the folder of class folders, or of train/, val/ and
            test/ with class folders.
        train_images: use so many training images, evenly of all classes; 0 for all.
        validation_images: so many are held out of the training part, evenly of all
            classes, if the set has no validation part of its own.
        mean: subtracted from each channel (of values in 0..1) before the network.
        std: divides each channel after that.
        crop_share: of images that are not of one size: evaluation sees the middle
            square of this share of the shorter side.
        decoded: of such images: decode each once and keep the pixels on disk, in
            `$GPSATTN_CACHE_DIR` or `~/.cache/gpsattn_jax`.
        bits: of such images' grey with more than 8 bits: how many the values use (8,
            10, 12, 14 or 16); 0 takes what each file declares, or its values fit into.
        most_pixels: of such images; one of more is refused.
        workers: processes that decode; 0 decodes in threads.
        skip_bad: leave out files that are no readable images, and say how many.
    """

    name: str = "digits"
    folder: str = ""
    train_images: int = 0
    validation_images: int = 0
    mean: tuple[float, ...] = (0.305,)
    std: tuple[float, ...] = (0.376,)
    crop_share: float = 0.875
    decoded: bool = False
    bits: int = 0
    most_pixels: int = MOST_PIXELS
    workers: int = 0
    skip_bad: bool = False


def load(
    config: DataConfig,
    data_dir: str | os.PathLike | None = None,
    *,
    size: int,
    channels: int = 3,
    crop_scale: tuple[float, ...] = (1.0, 1.0),
    crop_ratio: tuple[float, ...] = (3 / 4, 4 / 3),
) -> LabelledSets:
    """A set by name: "train", "validation", "test", and notes on them.

    Args:
        config: which.
        data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.
        size: pixels of a side, for sets that are not of one size.
        channels: 1 or 3, for these.
        crop_scale: of random resized crops, for these; see `AugmentConfig`.
        crop_ratio: likewise.

    Raises:
        ValueError: lists the names there are; names the field, or the class and its
            count, that makes a set impossible to train on.
        FileNotFoundError: names what is missing, and where it was looked for.
    """
    crop = dataclasses.replace(
        evaluation_crop(config, size, channels), scale=crop_scale, ratio=crop_ratio
    )
    found = _read(config, data_folder(data_dir), crop)
    sets, notes = dict(found), list(getattr(found, "notes", ()))
    _check_classes(config, sets["train"])
    if "test" not in sets and "validation" in sets:  # a public validation part: tests
        sets["test"] = sets.pop("validation")
        notes.append("test: the validation part, as there is no other")
    held_out = tuple(part for part in ("test", "validation") if part not in sets)
    for part in held_out:
        count = config.validation_images
        sets["train"], sets[part] = split_evenly(
            sets["train"], count, "validation_images"
        )
        notes.append(f"{part}: {count:,} held out of train, evenly of all classes")
    if config.train_images:
        count, whole = config.train_images, len(sets["train"])
        _, sets["train"] = split_evenly(sets["train"], count, "train_images")
        notes.append(f"train: {count:,} taken of {whole:,} (data.train_images)")
    if config.name not in IN_MEMORY:
        if config.skip_bad:
            sets = {part: without_bad(images) for part, images in sets.items()}
        if config.decoded:
            sets = {part: with_decoded_cache(images) for part, images in sets.items()}
    order = [part for part in ("train", "validation", "test") if part in sets]
    return LabelledSets({part: sets[part] for part in order}, tuple(notes), held_out)


def evaluation_crop(config: DataConfig, size: int, channels: int) -> Crop:
    """How evaluation sees a picture; prediction must see a user's the same way.

    Args:
        config: of the run's data; images of one size are taken whole.
        size: pixels of a side.
        channels: 1 or 3.
    """
    return Crop(
        size=size,
        channels=channels,
        share=1.0 if config.name in IN_MEMORY else config.crop_share,
        bits=config.bits,
        most_pixels=config.most_pixels,
    )


def load_labelled(
    config: DataConfig,
    folder: str | os.PathLike,
    class_names: Sequence[str],
    *,
    size: int,
    channels: int = 3,
) -> LabelledSets:
    """Any folder of class folders as the "test" part of a run on other data.

    Args:
        config: of the run's data.
        folder: see `read_labelled`.
        class_names: of the run.
        size: pixels of a side.
        channels: 1 or 3.

    Raises:
        FileNotFoundError: if there is no such folder, or no class folders in it.
        ValueError: names the folders that are no class of the run.
    """
    crop = evaluation_crop(config, size, channels)
    threads = 1 if config.workers else 0
    images, notes = read_labelled(folder, class_names, crop, threads=threads)
    if config.skip_bad:
        images = without_bad(images)
    return LabelledSets({"test": images}, notes)


def check_same_classes(
    trained: Sequence[str], found: Sequence[str], where: str
) -> None:
    """Refuses to score a network on classes that it does not know by these numbers.

    Args:
        trained: the run's class names, in order.
        found: the data's.
        where: what the data are called.

    Raises:
        ValueError: names the classes that came, went or moved.
    """
    if list(trained) == list(found):
        return
    gone = [name for name in trained if name not in set(found)]
    new = [name for name in found if name not in set(trained)]
    changes = [f"{class_list(gone)} went"] if gone else []
    changes += [f"{class_list(new)} came"] if new else []
    raise ValueError(
        f"{where}: its classes are not those that the run was trained on: "
        f"{' and '.join(changes) or 'their order is another one'}. Restore the folder, "
        "or score another one with --data.folder."
    )


def _read(config, data_dir, crop):
    """The parts of a set as it comes."""
    if config.name in IN_MEMORY:
        return IN_MEMORY[config.name](data_dir)
    kind = config.name.split(":")[0]
    if kind not in FILES:
        raise ValueError(
            f"data.name must be one of {', '.join([*IN_MEMORY, *FILES])}:NAME; "
            f"got {config.name!r}."
        )
    # Each worker process decodes in one thread.
    threads = 1 if config.workers else 0
    return FILES[kind](config, data_dir, crop, threads)


def _check_classes(config, images):
    """A single class cannot be mistaken for another."""
    if len(images.class_names) < 2:
        raise ValueError(
            f"data.name={config.name}: must have at least two classes; got only "
            f"{class_counts(images.labels, images.class_names)}."
        )
