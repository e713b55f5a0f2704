"""Every reader of a file: what is wrong with a damaged one is said with its name."""

import functools
import hashlib
import json
import pickle

import numpy as np
import pytest

for _needed in ("h5py", "PIL", "flatbuffers", "yaml"):
    pytest.importorskip(_needed, reason=f"needs {_needed} (extras: data, export)")

from gpsattn_jax import convert  # noqa: E402
from gpsattn_jax.convert.recognition import recognize  # noqa: E402
from gpsattn_jax.data.files import npz_names, read_npy, read_npz  # noqa: E402
from gpsattn_jax.data.files.pickles import read_pickle  # noqa: E402
from gpsattn_jax.data.images.class_folders import read_zips  # noqa: E402
from gpsattn_jax.data.images.crop import Crop  # noqa: E402
from gpsattn_jax.data.images.decode import decode  # noqa: E402
from gpsattn_jax.data.skeletons.clip_folder import read_clip, read_clips  # noqa: E402
from gpsattn_jax.data.skeletons.label_table import read_labels  # noqa: E402
from gpsattn_jax.data.skeletons.layouts import LAYOUTS, load_layout  # noqa: E402
from gpsattn_jax.data.skeletons.ntu import ntu_npz  # noqa: E402
from gpsattn_jax.data.videos.annotations import read_annotations  # noqa: E402
from gpsattn_jax.data.videos.feature_files import read_videos  # noqa: E402
from gpsattn_jax.data.videos.split_files import read_splits  # noqa: E402
from gpsattn_jax.systems.export import artefacts  # noqa: E402

LAYOUT, CROP = LAYOUTS["coco17"], Crop(size=8)
# Reader: the suffixes of the files that it takes.
READERS = {
    "npy": (read_npy, ".npy"),
    "npz": (read_npz, ".npz"),
    "names of npz": (npz_names, ".npz"),
    "pickle": (read_pickle, ".pkl"),
    "weights": (
        functools.partial(convert.load, "pglsum"),
        ".npz", ".pth", ".safetensors", ".pkl", ".bin",
    ),
    "recognized weights": (recognize, ".npz", ".pth", ".safetensors"),
    "artefact": (artefacts.load, ".stablehlo", ".json"),
    "pictures": (decode, ".png", ".jpg", ".tif"),
    "zip": (lambda path: read_zips(path, None, CROP), ".zip"),
    "clip": (
        lambda path: read_clip(path, LAYOUT),
        ".npy", ".npz", ".csv", ".json", ".skeleton",
    ),
    "clips": (lambda path: read_clips(path, LAYOUT), ".pkl"),
    "NTU": (ntu_npz, ".npz"),
    "labels": (lambda path: read_labels(path, (".npy",)), ".csv"),
    "layout": (lambda path: load_layout(str(path)), ".json"),
    "annotations": (read_annotations, ".csv", ".json"),
    "splits": (read_splits, ".json", ".yml"),
    "videos": (read_videos, ".h5"),
}  # fmt: skip
CASES = [(name, suffix) for name, (_, *ends) in READERS.items() for suffix in ends]
CONTENTS = {
    "nothing": b"",
    "text": b"This is no such file.",
    "zeros": bytes(64),
    "no UTF-8": b"\xff\xfe" * 30,
    "a list": b"[1, 2, 3]",
    "deep lists": b"[" * 100_000,
    "a long number": b'{"a": 1' + b"0" * 9000 + b"}",
    "a cut archive": b"PK\x03\x04" + bytes(30),
    "a header alone": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', ",
    "an HDF5 signature": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "a cut pickle": pickle.dumps({"a": np.ones(3)}, 2)[:-20],
    "a PNG signature": b"\x89PNG\r\n\x1a\n" + bytes(20),
}


def described(path):
    """A description that fits, but for the arrays."""
    content = path.read_bytes()
    return {
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "jax": "0", "platforms": ["cpu"], "inputs": {}, "outputs": {},
    }  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_an_error_names_the_file(tmp_path, monkeypatch, name, suffix, content):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(CONTENTS[content])
    read, *_ = READERS[name]
    if name == "artefact":
        # In this process; what damage does to it is another test's.
        monkeypatch.setattr(artefacts, "inspect", lambda paths: [""])
        if suffix == ".stablehlo":
            path.with_suffix(".json").write_text(json.dumps(described(path)))
        else:
            path.with_suffix(".stablehlo").touch()
        read, path = artefacts.load, path.with_suffix(".stablehlo")
    with pytest.raises(ValueError) as error:
        read(path)
    text = str(error.value)
    assert f"damaged{suffix}" in text.splitlines()[0]
    assert len(text) < 3000 and "\0" not in text


@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_a_missing_file_is_named(tmp_path, name, suffix):
    path = tmp_path / f"missing{suffix}"
    with pytest.raises((FileNotFoundError, ValueError), match=path.name):
        READERS[name][0](path)
