"""CIFAR-100 from a pair of zips with lossless strips of images."""

import hashlib
import io
import json
import pathlib
import zipfile

import numpy as np

Names = dict[str, tuple[str, ...]]


def read_zip(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, Names]:
    """One part of CIFAR-100 (Krizhevsky 2009), in the order of its classes.

    `index.json` lists the strips: each is one class, 32 pixels wide and 32 high for
    each image, without loss; their pixels are compared with a SHA-256 sum.

    Returns:
        (images [n, 32, 32, 3] uint8, fine labels [n] int32, coarse labels [n] int32,
        class names {"fine", "coarse"}).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: names the zip, and the strip that is off.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            index = json.loads(archive.read("index.json"))
            strips = [_strip(archive, chunk) for chunk in index["chunks"]]
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a readable CIFAR-100 zip: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    images = np.concatenate(strips)
    found = hashlib.sha256(images.data).hexdigest()
    if found != index["rgb_sha256"]:
        raise ValueError(
            f"{path}: the pixels' SHA-256 must be {index['rgb_sha256']}; got {found}."
        )
    labels = np.repeat(
        np.array([chunk["label"] for chunk in index["chunks"]], np.int32),
        [chunk["count"] for chunk in index["chunks"]],
    )
    coarse = index["coarse"]
    names = {"fine": tuple(index["classes"]), "coarse": tuple(coarse["names"])}
    return images, labels, np.array(coarse["fine_to_coarse"], np.int32)[labels], names


def _strip(archive, chunk):
    from PIL import Image

    try:
        with Image.open(io.BytesIO(archive.read(chunk["path"]))) as image:
            pixels = np.asarray(image.convert("RGB"))
    except Exception as error:  # decoders raise all sorts of things for broken files
        raise ValueError(f"{chunk['path']}: not a readable image: {error}") from error
    if pixels.shape != (32 * chunk["count"], 32, 3):
        raise ValueError(
            f"{chunk['path']}: must be {chunk['count']} images of 32 x 32 pixels; "
            f"got {pixels.shape}."
        )
    return pixels.reshape(-1, 32, 32, 3)
