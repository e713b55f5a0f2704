"""CIFAR in each form its authors publish; pickles that would run code are refused."""

import os
import pickle
import tarfile

import numpy as np
import pytest

from gpsattn_jax.data.images import cifar_public
from gpsattn_jax.data.images.cifar_public import class_names, read

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (10, 32, 32, 3), np.uint8)
ROWS = IMAGES.transpose(0, 3, 1, 2).reshape(10, 3072)
FINE, COARSE = RANDOM.integers(0, 100, 10), RANDOM.integers(0, 20, 10)
# As Python 2 wrote it.
META = b"(dp0\nS'fine_label_names'\np1\n(lp2\nS'apple'\naS'bear'\nas"
META += b"S'coarse_label_names'\np3\n(lp4\nS'fruit'\naS'animals'\nas."


def pickled(tree, path):
    """As NumPy 1 wrote it."""
    content = pickle.dumps(tree, protocol=2)
    path.write_bytes(
        content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    )


def python_hundred(folder):
    folder = folder / "cifar-100-python"
    folder.mkdir()
    for part, rows in (("train", slice(0, 7)), ("test", slice(7, 10))):
        labels = {"fine_labels": FINE[rows].tolist(), "coarse_labels": COARSE[rows]}
        pickled({"data": ROWS[rows], "batch_label": part} | labels, folder / part)
    (folder / "meta").write_bytes(META)
    return folder


def binary_hundred(folder):
    folder = folder / "cifar-100-binary"
    folder.mkdir()
    records = np.concatenate([COARSE[:, None], FINE[:, None], ROWS], 1).astype(np.uint8)
    records[:7].tofile(folder / "train.bin")
    records[7:].tofile(folder / "test.bin")
    (folder / "fine_label_names.txt").write_text("apple\nbear\n")
    (folder / "coarse_label_names.txt").write_text("fruit\nanimals\n")
    return folder


def archived(make):
    def archive(folder):
        inside = make(folder)
        path = folder / f"{inside.name}.tar.gz"
        with tarfile.open(path, "w:gz") as file:
            file.add(inside, inside.name)
        return path

    return archive


LAYOUTS = {
    "python": python_hundred,
    "binary": binary_hundred,
    "python archive": archived(python_hundred),
    "binary archive": archived(binary_hundred),
    "folder above": lambda folder: python_hundred(folder).parent,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_cifar_100_gives_the_same(tmp_path, layout):
    folder = LAYOUTS[layout](tmp_path)
    for part, rows in (("train", slice(0, 7)), ("test", slice(7, 10))):
        images, fine, coarse = read(folder, part)
        assert images.dtype == np.uint8 and fine.dtype == coarse.dtype == np.int32
        np.testing.assert_array_equal(images, IMAGES[rows])
        np.testing.assert_array_equal(fine, FINE[rows])
        np.testing.assert_array_equal(coarse, COARSE[rows])
    names = {"fine": ("apple", "bear"), "coarse": ("fruit", "animals")}
    assert class_names(folder) == names


def test_an_archive_is_found_in_its_folder(tmp_path):
    path = archived(binary_hundred)(tmp_path)
    folder = tmp_path / "downloads"
    folder.mkdir()
    path.rename(folder / path.name)
    assert len(read(folder, "train")[0]) == 7


@pytest.mark.parametrize("form", ["py", "bin"])
def test_cifar_10_has_five_parts_and_no_coarse_labels(tmp_path, form):
    folder = tmp_path / f"cifar-10-batches-{form}"
    folder.mkdir()
    for number, name in enumerate([f"data_batch_{n}" for n in range(1, 6)]):
        rows = slice(2 * number, 2 * number + 2)
        if form == "py":
            tree = {"data": ROWS[rows], "labels": FINE[rows].tolist()}
            pickled(tree, folder / name)
        else:
            records = np.concatenate([FINE[rows, None], ROWS[rows]], 1)
            records.astype(np.uint8).tofile(folder / f"{name}.bin")
    if form == "py":
        pickled({"label_names": ["cat", "dog"]}, folder / "batches.meta")
    else:
        (folder / "batches.meta.txt").write_text("cat\ndog\n\n")
    images, fine, coarse = read(tmp_path, "train")
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(fine, FINE)
    assert coarse is None and class_names(folder) == {"fine": ("cat", "dog")}
    with pytest.raises(FileNotFoundError, match="test_batch"):
        read(folder, "test")


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    "content, reason",
    [
        (pickle.dumps({"data": Evil()}), "it holds posix.system, which might run code"),
        (
            pickle.dumps({"data": np.array([Evil()], object)}),
            "numbers or texts; got 'O8'",
        ),
        (b"cbuiltins\neval\n(S'1'\ntR.", "it holds builtins.eval"),
        (b"cnumpy\nload\n(S'x'\ntR.", "it holds numpy.load"),
        (b"", "exhausted"),
        (b"garbage", "must be a pickle of arrays and containers alone"),
        (pickle.dumps([1]), "must hold a dict; got list"),
        (pickle.dumps({"data": 1}), "must have the field 'coarse_labels'; got data"),
        (
            pickle.dumps(
                {"data": ROWS[:, 1:], "fine_labels": FINE, "coarse_labels": COARSE}
            ),
            r"data must be uint8 \[10, 3072\]; got uint8 \(10, 3071\)",
        ),
    ],
)
def test_other_pickles_are_refused_by_name(tmp_path, monkeypatch, content, reason):
    monkeypatch.chdir(tmp_path)
    (python_hundred(tmp_path) / "train").write_bytes(content)
    with pytest.raises(ValueError, match=f"cifar-100-python/train: .*{reason}"):
        read(tmp_path, "train")
    assert not (tmp_path / "ran").exists()


def test_cut_and_missing_files_are_named(tmp_path):
    folder = binary_hundred(tmp_path)
    (folder / "test.bin").write_bytes(b"12345")
    with pytest.raises(
        ValueError, match="test.bin: must be records of 3074 bytes; got"
    ):
        read(folder, "test")
    with pytest.raises(FileNotFoundError, match="no CIFAR there; looked for cifar-100"):
        read(tmp_path / "nowhere", "train")
    with pytest.raises(ValueError, match="split must be train or test; got 'val'"):
        read(folder, "val")
    (tmp_path / "text.tar.gz").write_text("no archive")
    with pytest.raises(ValueError, match="text.tar.gz: not a readable archive"):
        read(tmp_path / "text.tar.gz", "train")
    path = archived(python_hundred)(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="python.tar.gz: not a readable archive"):
        read(path, "test")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = archived(python_hundred)(tmp_path)
    python_hundred_folder = tmp_path / "cifar-100-python"
    monkeypatch.setattr(cifar_public, "_MOST_BYTES", 20_000)
    with pytest.raises(ValueError, match=r"tar\.gz: must have at most 20,000 bytes"):
        read(path, "train")
    with pytest.raises(ValueError, match="train: must have at most 20,000 bytes"):
        read(python_hundred_folder, "train")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"fine_labels": ["a"] * 7}, "fine_labels must be integers in 0..99"),
        ({"fine_labels": [100] * 7}, "fine_labels must be integers in 0..99"),
        ({"fine_labels": FINE[:3].tolist()}, "fine_labels must be 7"),
        ({"coarse_labels": {1: 2}}, "coarse_labels must be integers in 0..99"),
        ({"data": [[1]]}, r"data must be uint8 \[7, 3072\]; got list"),
    ],
)
def test_wrong_fields_are_named(tmp_path, change, message):
    tree = {"data": ROWS[:7], "fine_labels": FINE[:7], "coarse_labels": COARSE[:7]}
    pickled(tree | change, python_hundred(tmp_path) / "train")
    with pytest.raises(ValueError, match=f"cifar-100-python/train: {message}"):
        read(tmp_path, "train")


def test_a_million_instructions_are_no_cifar(tmp_path):
    path = python_hundred(tmp_path) / "train"
    path.write_bytes(b"\x80\x02(" + b"N" * 1_100_000 + b"l.")
    with pytest.raises(ValueError, match="train: .*more than 1000000 instructions"):
        read(tmp_path, "train")
