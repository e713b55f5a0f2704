"""Image sets by name: digits, CIFAR-100, Imagenette, ImageNet, folders, TFDS."""

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gpsattn_jax.configs import Checked
from gpsattn_jax.data.data_folder import ADVICE, data_folder
from gpsattn_jax.data.images import cifar, cifar_public
from gpsattn_jax.data.images.bad_files import without_bad
from gpsattn_jax.data.images.class_folders import (
    read_folder,
    read_labelled,
    read_zips,
)
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decode import MOST_PIXELS
from gpsattn_jax.data.images.decoded_cache import decoded
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.data.images.labelled_sets import (
    LabelledSets,
    class_counts,
    class_list,
)
from gpsattn_jax.data.images.sources import Images, ImageSet
from gpsattn_jax.data.images.tfds import read_tfds


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
    for part in ("test", "validation"):
        if part not in sets:
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
            sets = {part: decoded(images) for part, images in sets.items()}
    order = [part for part in ("train", "validation", "test") if part in sets]
    return LabelledSets({part: sets[part] for part in order}, tuple(notes))


def evaluation_crop(config: DataConfig, size: int, channels: int) -> Crop:
    """How evaluation sees a picture; prediction must see a user's the same way.

    Args:
        config: of the run's data; images of one size are seen whole.
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
    """One class has nothing to be told from."""
    if len(images.class_names) < 2:
        raise ValueError(
            f"data.name={config.name}: must have at least two classes; got only "
            f"{class_counts(images.labels, images.class_names)}."
        )


def split_evenly(images: Images, count: int, field: str) -> tuple[Images, Images]:
    """Two parts, drawn once with seed 0.

    Args:
        images: to be parted.
        count: of the second part, evenly of all classes.
        field: of the config, for messages.

    Raises:
        ValueError: names the field and what it may be, or the class that is too small.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < count < len(images):
        raise ValueError(
            f"data.{field} must be from 1 to fewer than the {len(images)} images they "
            f"are taken from; got {count}."
        )
    counts = np.bincount(images.labels, minlength=len(images.class_names))
    small = [name for name, n in zip(images.class_names, counts, strict=True) if n == 1]
    if small:
        raise ValueError(
            f"class {small[0]} has 1 picture left to train on; to hold "
            f"out some of every class (data.{field}), each needs 2 at every split: 3 "
            "where both test and validation are taken from train. Add pictures, bring "
            "a val or test folder, or leave the class out."
        )
    classes = int((counts > 0).sum())
    if min(count, len(images) - count) < classes:
        raise ValueError(
            f"data.{field} must be from {classes} to {len(images) - classes}, so that "
            f"each of the {classes} classes has a picture in both parts; got {count}."
        )
    places = train_test_split(
        np.arange(len(images)),
        test_size=count,
        stratify=images.labels,
        random_state=0,
    )
    rest, taken = (images.take(np.sort(part)) for part in places)
    return rest, taken


def digits(data_dir: pathlib.Path | None) -> dict[str, Images]:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, in a fixed split.

    Alpaydin and Kaynak 1998, the test part of the UCI set; it is embedded in the
    package, so nothing is fetched. The split is stratified and drawn once, with seed 0.

    Returns:
        {"train": 1,167, "validation": 180, "test": 450 images}.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    del data_dir
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
    return {
        name: whole.take(part)
        for name, part in (("train", train), ("validation", validation), ("test", test))
    }


def cifar100(
    data_dir: pathlib.Path | None, *, coarse: bool = False
) -> dict[str, Images]:
    """CIFAR-100: {"train": 50,000, "test": 10,000 images}, 100 or 20 classes.

    From zips of lossless strips, or from the public archive or its folders.
    """
    sets: dict[str, Images] = {}
    level = "coarse" if coarse else "fine"
    path = _find(
        data_dir, ("images/cifar100_train.zip", "cifar100_train.zip", *PUBLIC_CIFAR100)
    )
    for part in ("train", "test"):
        if path.suffix == ".zip":
            archive = path.with_name(path.name.replace("train", part))
            pixels, fine, coarse_labels, names = cifar.read_zip(archive)
        else:
            pixels, fine, coarse_labels = cifar_public.read(path, part)  # type: ignore[assignment]
            names = cifar_public.class_names(path)
        sets[part] = ImageSet(pixels, coarse_labels if coarse else fine, names[level])
    return sets


def imagenette(
    config: DataConfig, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> LabelledSets:
    """Imagenette: 9,469 training images of ten ImageNet classes, 3,925 to test.

    From the public folders (`imagenette2-160`, …), or zips of 128 px WebP pictures.
    """
    del config
    zips = "images/imagenette_128_train.zip", "imagenette_128_train.zip"
    folders = "imagenette2-160", "imagenette2-320", "imagenette2"
    path = _find(data_dir, (*folders, *zips))
    if path.is_dir():
        return read_folder(path, crop, threads=threads)
    validation = path.with_name(path.name.replace("train", "val"))
    return read_zips(path, validation, crop, threads=threads)


def imagenet(
    config: DataConfig, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> LabelledSets:
    """ImageNet-1K in class folders: `train/nXXXXXXXX/`, `val/nXXXXXXXX/`."""
    del config
    path = _find(data_dir, ("imagenet", "ILSVRC2012", "train"))
    path = path.parent if path.name == "train" else path
    return read_folder(path, crop, threads=threads)


def class_folders(
    config: DataConfig, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> LabelledSets:
    """A user's folder of class folders."""
    if not config.folder:
        raise ValueError("data.folder must name the folder of class folders.")
    folder = (data_dir or pathlib.Path()) / config.folder
    return read_folder(folder, crop, threads=threads)


def tensorflow_dataset(
    config: DataConfig, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> dict[str, ImageFiles]:
    """A set of TensorFlow Datasets, prepared as array_record, and without TensorFlow.

    Found in `tensorflow_datasets/` of the data folder, or where TFDS looks by itself.
    """
    name = config.name.partition(":")[2]
    own = (data_dir or pathlib.Path()) / "tensorflow_datasets"
    read = functools.partial(
        read_tfds,
        name,
        crop=crop,
        data_dir=own if own.is_dir() else None,
        threads=threads,
    )
    sets = {"train": read("train")}
    for part in ("validation", "test"):
        with contextlib.suppress(ValueError):  # it has no such part
            sets[part] = read(part)
    return sets


PUBLIC_CIFAR100 = (
    "cifar-100-python",
    "cifar-100-python.tar.gz",
    "cifar-100-binary",
    "cifar-100-binary.tar.gz",
)
IN_MEMORY: dict[str, Callable[[pathlib.Path | None], dict[str, Images]]] = {
    "digits": digits,
    "cifar100": cifar100,
    "cifar100_coarse": functools.partial(cifar100, coarse=True),
}
FILES: dict[str, Callable[..., Mapping[str, Images]]] = {
    "imagenette": imagenette,
    "imagenet": imagenet,
    "folder": class_folders,
    "tfds": tensorflow_dataset,
}


def _find(data_dir, names):
    """The first of some paths below the data folder that is there."""
    where = "no folder was named" if data_dir is None else f"looked in {data_dir}"
    paths = [] if data_dir is None else [data_dir / name for name in names]
    for path in paths:
        if path.exists():
            return path
    raise FileNotFoundError(f"{' or '.join(names)} not found; {where}. {ADVICE}")
