"""The sets that have names: where each is looked for, and what reads it."""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from gpsattn_jax.data.data_folder import ADVICE
from gpsattn_jax.data.images import cifar, cifar_public
from gpsattn_jax.data.images.class_folders import read_folder, read_zips
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.data.images.labelled_sets import LabelledSets
from gpsattn_jax.data.images.sources import Images, ImageSet
from gpsattn_jax.data.images.tfds import read_tfds


class NamedSet(Protocol):
    """What a reader needs of a `DataConfig`."""

    @property
    def name(self) -> str: ...

    @property
    def folder(self) -> str: ...


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
    config: NamedSet, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> LabelledSets:
    """Imagenette: 9,469 training images of ten ImageNet classes, 3,925 to test.

    From the public folders (`imagenette2-160`, …), or zips of 128 px WebP pictures.

    Args:
        config: not needed.
        data_dir: the folder of data sets, if one was named.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.
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
    config: NamedSet, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> LabelledSets:
    """ImageNet-1K in class folders: `train/nXXXXXXXX/`, `val/nXXXXXXXX/`.

    Args:
        config: not needed.
        data_dir: the folder of data sets, if one was named.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.
    """
    del config
    path = _find(data_dir, ("imagenet", "ILSVRC2012", "train"))
    path = path.parent if path.name == "train" else path
    return read_folder(path, crop, threads=threads)


def class_folders(
    config: NamedSet, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> LabelledSets:
    """A user's folder of class folders.

    Args:
        config: names the folder.
        data_dir: the folder of data sets, if one was named.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.
    """
    if not config.folder:
        raise ValueError("data.folder must name the folder of class folders.")
    folder = (data_dir or pathlib.Path()) / config.folder
    return read_folder(folder, crop, threads=threads)


def tensorflow_dataset(
    config: NamedSet, data_dir: pathlib.Path | None, crop: Crop, threads: int
) -> dict[str, ImageFiles]:
    """A set of TensorFlow Datasets, prepared as array_record, and without TensorFlow.

    Found in `tensorflow_datasets/` of the data folder, or where TFDS looks by itself.

    Args:
        config: names the set, as tfds:NAME.
        data_dir: the folder of data sets, if one was named.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.
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
