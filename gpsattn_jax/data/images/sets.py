"""Image sets by name: digits, CIFAR-100, Imagenette, ImageNet, folders, TFDS."""

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable

import numpy as np

from gpsattn_jax.configs import Checked
from gpsattn_jax.data.images import cifar, cifar_public
from gpsattn_jax.data.images.bad_files import without_bad
from gpsattn_jax.data.images.class_folders import read_folder, read_zips
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decoded_cache import decoded
from gpsattn_jax.data.images.files import ImageFiles
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
    workers: int = 0
    skip_bad: bool = False

    @property
    def crops_while_decoding(self) -> bool:
        """Whether random resized crops happen before the batch is made."""
        return self.name not in IN_MEMORY


def load(
    config: DataConfig,
    data_dir: str | os.PathLike | None = None,
    *,
    size: int,
    channels: int = 3,
    crop_scale: tuple[float, ...] = (1.0, 1.0),
) -> dict[str, Images]:
    """A set by name: {"train", "validation", "test"}.

    Args:
        config: which.
        data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.
        size: pixels of a side, for sets that are not of one size.
        channels: 1 or 3, for these.
        crop_scale: of random resized crops, for these.

    Raises:
        ValueError: lists the names there are.
        FileNotFoundError: names what is missing, and where it was looked for.
    """
    folder = os.environ.get("GPSATTN_DATA_DIR", "") if data_dir is None else data_dir
    crop = Crop(size=size, channels=channels, share=config.crop_share, scale=crop_scale)
    sets = _read(config, pathlib.Path(folder), crop)
    if "test" not in sets and "validation" in sets:  # a public validation part: tests
        sets["test"] = sets.pop("validation")
    for part in ("test", "validation"):
        if part not in sets:
            sets["train"], sets[part] = _split(
                sets["train"], config.validation_images, "validation_images"
            )
    if config.train_images:
        _, sets["train"] = _split(sets["train"], config.train_images, "train_images")
    if config.name in IN_MEMORY:
        return sets
    if config.skip_bad:
        sets = {part: without_bad(images) for part, images in sets.items()}
    if config.decoded:
        sets = {part: decoded(images) for part, images in sets.items()}
    return sets


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


def _split(images, count, field):
    """Two parts, the second one of `count` images evenly of all classes (seed 0)."""
    from sklearn.model_selection import train_test_split

    if not 0 < count < len(images):
        raise ValueError(
            f"data.{field} must be from 1 to fewer than the {len(images)} images they "
            f"are taken from; got {count}."
        )
    places = train_test_split(
        np.arange(len(images)),
        test_size=count,
        stratify=images.labels,
        random_state=0,
    )
    return [images.take(np.sort(part)) for part in places]


def digits(data_dir: pathlib.Path) -> dict[str, Images]:
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


def cifar100(data_dir: pathlib.Path, *, coarse: bool = False) -> dict[str, Images]:
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
    config: DataConfig, data_dir: pathlib.Path, crop: Crop, threads: int
) -> dict[str, ImageFiles]:
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
    config: DataConfig, data_dir: pathlib.Path, crop: Crop, threads: int
) -> dict[str, ImageFiles]:
    """ImageNet-1K in class folders: `train/nXXXXXXXX/`, `val/nXXXXXXXX/`."""
    del config
    path = _find(data_dir, ("imagenet", "ILSVRC2012", "train"))
    path = path.parent if path.name == "train" else path
    return read_folder(path, crop, threads=threads)


def class_folders(
    config: DataConfig, data_dir: pathlib.Path, crop: Crop, threads: int
) -> dict[str, ImageFiles]:
    """A user's folder of class folders."""
    if not config.folder:
        raise ValueError("data.folder must name the folder of class folders.")
    return read_folder(data_dir / config.folder, crop, threads=threads)


def tensorflow_dataset(
    config: DataConfig, data_dir: pathlib.Path, crop: Crop, threads: int
) -> dict[str, ImageFiles]:
    """A set of TensorFlow Datasets, prepared as array_record, and without TensorFlow.

    Found in `tensorflow_datasets/` of the data folder, or where TFDS looks by itself.
    """
    name = config.name.partition(":")[2]
    own = data_dir / "tensorflow_datasets"
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
IN_MEMORY: dict[str, Callable[[pathlib.Path], dict[str, Images]]] = {
    "digits": digits,
    "cifar100": cifar100,
    "cifar100_coarse": functools.partial(cifar100, coarse=True),
}
FILES: dict[str, Callable[..., dict[str, ImageFiles]]] = {
    "imagenette": imagenette,
    "imagenet": imagenet,
    "folder": class_folders,
    "tfds": tensorflow_dataset,
}


def _find(data_dir, names):
    """The first of some paths below the data folder that is there."""
    found = next((data_dir / n for n in names if (data_dir / n).exists()), None)
    if found is None or str(data_dir) == ".":
        unnamed = str(data_dir) == "."
        where = "no folder was named" if unnamed else f"looked in {data_dir}"
        raise FileNotFoundError(
            f"{' or '.join(names)} not found; {where}. Name the folder "
            "of the data with --data_dir or GPSATTN_DATA_DIR."
        )
    return found
