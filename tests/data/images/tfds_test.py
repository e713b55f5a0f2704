"""Sets of TensorFlow Datasets: a tiny one is prepared here, without TensorFlow."""

import io
import pickle
import sys
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.tfds import read_tfds

tfds = pytest.importorskip("tensorflow_datasets")
CROP = Crop(size=8)


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """Six pictures, red and blue in turn."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos: ClassVar = {}  # nothing to download, and so no file of checksums

    def _info(self):
        kinds = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["red", "blue"]),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(kinds)
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(6), "test": self._generate_examples(2)}

    def _generate_examples(self, count):
        for number in range(count):
            file = io.BytesIO()
            color = ("red", "blue")[number % 2]
            Image.new("RGB", (20 + number, 16), color).save(file, "PNG")
            file.seek(0)
            yield number, {"image": file, "label": number % 2}


class TinyNumbers(TinyPictures):
    """No pictures."""

    def _info(self):
        kinds = {"digit": tfds.features.Scalar(np.int64), "text": tfds.features.Text()}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(kinds)
        )

    def _generate_examples(self, count):
        yield 0, {"digit": 0, "text": "nothing"}


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    for builder in (TinyPictures, TinyNumbers):
        made = builder(data_dir=str(folder), file_format="array_record")
        made.download_and_prepare()
    return folder


@pytest.fixture
def open_set(tfds_dir, tmp_path):
    def open_set(name="tiny_pictures", split="train", **options):
        options = {"data_dir": tfds_dir, "cache": tmp_path} | options
        return read_tfds(name, split, CROP, **options)

    return open_set


def test_pictures_are_decoded_on_demand_by_any_number_of_threads(open_set):
    source = open_set(threads=4)
    assert len(source) == 6 and source.class_names == ("red", "blue")
    batch = source.batch(np.arange(6), None)
    colors = np.array([[255, 0, 0], [0, 0, 255]])[source.labels]
    np.testing.assert_array_equal(batch["inputs"]["images"][:, 3, 3], colors)
    np.testing.assert_array_equal(batch["targets"]["label"], source.labels)
    assert sorted(source.labels) == [0, 0, 0, 1, 1, 1]
    for other in (open_set(threads=1), pickle.loads(pickle.dumps(source))):
        again = other.batch(np.arange(6), np.arange(6))
        expected = source.batch(np.arange(6), np.arange(6))
        np.testing.assert_array_equal(
            again["inputs"]["images"], expected["inputs"]["images"]
        )
    part = source.take(np.array([4, 1])).batch(np.array([1]), None)
    np.testing.assert_array_equal(part["inputs"]["images"][0, 3, 3], colors[1])
    assert "tensorflow" not in sys.modules


def test_splits_and_parts_of_them(open_set):
    assert len(open_set(split="test")) == 2
    assert len(open_set(split="train[:50%]")) == 3
    with pytest.raises(ValueError, match="split must be one of .*; got 'val'"):
        open_set(split="val")


def test_labels_are_kept(open_set, tmp_path, monkeypatch):
    first = open_set()
    (kept,) = tmp_path.glob("labels-*.npy")
    np.save(kept, 1 - first.labels)
    np.testing.assert_array_equal(open_set().labels, 1 - first.labels)
    kept.write_bytes(b"cut")
    np.testing.assert_array_equal(open_set().labels, first.labels)


def test_what_cannot_be_read_says_why(open_set, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="got 'cifar1000'. Near: cifar100, cifar10"):
        open_set("cifar1000")
    with pytest.raises(FileNotFoundError, match="cifar10 is not prepared.*tfds build"):
        open_set("cifar10", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"got digit \(Scalar\), text \(Text\)"):
        open_set("tiny_numbers")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ModuleNotFoundError, match="is not installed: pip install"):
        open_set()
