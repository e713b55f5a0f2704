"""Image sets of TensorFlow Datasets, read without TensorFlow."""

import difflib
import os
import pathlib
import threading
from typing import Any

import numpy as np

from gpsattn_jax.data.files.numpy_files import read_npy
from gpsattn_jax.data.fingerprints import fingerprint
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.files import cache_folder, replaced
from gpsattn_jax.progress import with_progress

_FORMAT = "array_record"  # the one that can be read at any place


class Records:
    """The images of one split, as a `ByteStore`.

    Args:
        name: of the set: `cifar10`, or with config and version `name/config:1.0.0`.
        split: `train`, `test`, or a part of one: `train[:10%]`.
        data_dir: where TensorFlow Datasets keeps its sets.
        places: of these images in the split; all by default.
    """

    def __init__(
        self, name: str, split: str, data_dir: str, places: np.ndarray | None = None
    ):
        self._key = name, split, data_dir
        builder = prepared_builder(name, data_dir)
        self.class_names = _class_names(builder)
        self._source = _data_source(builder, split)
        self._places = np.arange(len(self._source)) if places is None else places
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many images."""
        return len(self._places)

    def record(self, place: int) -> dict[str, Any]:
        """The features of an example; `image` is not decoded."""
        with self._lock:  # the reader is opened at the first call
            return self._source[int(self._places[place])]

    def read(self, place: int) -> bytes | np.ndarray:
        return self.record(place)["image"]

    def name(self, place: int) -> str:
        return f"{self._key[0]}/{self._key[1]}[{self._places[place]}]"

    def stamp(self, place: int) -> list[Any]:
        return [*self._key, int(self._places[place]), len(self._source)]

    def take(self, places: np.ndarray) -> "Records":
        return Records(*self._key, self._places[places])

    def __reduce__(self) -> tuple:
        """A copy in another process opens the files again."""
        return Records, (*self._key, self._places)


def read_tfds(
    name: str,
    split: str,
    crop: Crop,
    *,
    data_dir: str | os.PathLike | None = None,
    threads: int = 0,
    cache: str | os.PathLike | None = None,
) -> ImageFiles:
    """One split of an image classification set.

    The set must have been prepared before; nothing is downloaded. All labels are read
    once and kept in a file.

    Args:
        name: `cifar10`, or with config and version `name/config:1.0.0`.
        split: `train`, `test`, or a part of one: `train[:10%]`.
        crop: how an image becomes a square.
        data_dir: where TensorFlow Datasets keeps its sets; by default
            `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        threads: see `ImageFiles`.
        cache: folder for the labels; `$GPSATTN_CACHE_DIR` or `~/.cache/gpsattn_jax` by
            default.

    Raises:
        ModuleNotFoundError: says how to install TensorFlow Datasets.
        FileNotFoundError: says how to prepare the set.
        ValueError: for an unknown name or split, lists the nearest; for a set that is
            not of labelled images, lists its features.
    """
    folder = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    store = Records(name, split, os.path.expanduser(os.fspath(folder)))
    labels = _labels(store, pathlib.Path(cache or cache_folder()))
    return ImageFiles(store, labels, store.class_names, crop, threads)


def prepared_builder(name: str, data_dir: str) -> Any:
    """The builder of a set of labelled images that lies ready on disk.

    Raises:
        ModuleNotFoundError: says how to install TensorFlow Datasets.
        FileNotFoundError: says how to prepare the set.
        ValueError: as for `read_tfds`.
    """
    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'TensorFlow Datasets is not installed: pip install "gpsattn-jax[data]".'
        ) from error
    try:
        builder = tfds.builder(name, data_dir=data_dir, file_format=_FORMAT)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name.split("/")[0].split(":")[0], known, 5)
        raise ValueError(
            f"name must be a set of TensorFlow Datasets; got {name!r}. "
            + (f"Near: {', '.join(near)}." if near else "No known name is near it.")
        ) from error
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"{name} is not prepared in {data_dir}. This downloads and prepares it: "
            f"tfds build {name} --data_dir={data_dir} --file_format={_FORMAT}"
        )
    features = dict(builder.info.features.items())
    picture, label = features.get("image"), features.get("label")
    pictures = (tfds.features.Image, tfds.features.Tensor)
    if not isinstance(picture, pictures) or not isinstance(
        label, tfds.features.ClassLabel
    ):
        found = ", ".join(f"{key} ({type(v).__name__})" for key, v in features.items())
        raise ValueError(
            f"{name} must have the features image (Image) and label (ClassLabel); "
            f"got {found}."
        )
    return builder


def _class_names(builder):
    label = builder.info.features["label"]
    return tuple(str(n) for n in label.names or range(label.num_classes))


def _data_source(builder, split):
    import tensorflow_datasets as tfds

    image = builder.info.features["image"]
    encoded = isinstance(image, tfds.features.Image)
    decoders = {"image": tfds.decode.SkipDecoding()} if encoded else None
    try:
        return builder.as_data_source(split=split, decoders=decoders)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"split must be one of {', '.join(builder.info.splits)}, or a part of one; "
            f"got {split!r}."
        ) from error


def _labels(store, folder):
    """[n] int32, from the records or from what was kept of them."""
    count = len(store)
    marks = fingerprint(store.take(np.arange(min(count, 1))))
    path = folder / f"labels-{marks}.npy"
    try:
        return read_npy(path)
    except (FileNotFoundError, ValueError):
        found = (store.record(place)["label"] for place in range(count))
        labels = np.fromiter(
            with_progress(found, count, "Reading labels"), np.int32, count
        )
    with replaced(path) as partial, open(partial, "wb") as file:
        np.save(file, labels)
    return labels
