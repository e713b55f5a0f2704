"""Images in class folders: ROOT/train/CLASS/*.jpg, ROOT/val/CLASS/*.jpg; or zipped."""

import os
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.images.byte_stores import Paths, ZipMembers
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decode import SUFFIXES
from gpsattn_jax.data.images.files import ImageFiles

PARTS = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
# The WordNet names of Imagenette's and Imagewoof's classes.
WORDNET = {
    "n01440764": "tench", "n02102040": "English springer",
    "n02979186": "cassette player", "n03000684": "chain saw", "n03028079": "church",
    "n03394916": "French horn", "n03417042": "garbage truck", "n03425413": "gas pump",
    "n03445777": "golf ball", "n03888257": "parachute",
    "n02086240": "Shih-Tzu", "n02087394": "Rhodesian ridgeback", "n02088364": "beagle",
    "n02089973": "English foxhound", "n02093754": "Border terrier",
    "n02096294": "Australian terrier", "n02099601": "golden retriever",
    "n02105641": "Old English sheepdog", "n02111889": "Samoyed", "n02115641": "dingo",
}  # fmt: skip


def read_folder(
    root: str | os.PathLike, crop: Crop, *, threads: int = 0
) -> dict[str, ImageFiles]:
    """The parts of a set in class folders; Imagenette and ImageNet are such sets.

    Args:
        root: holds `train/CLASS/*.jpg` and, if there are such parts,
            `val/CLASS/*.jpg` (or `validation`) and `test/CLASS/*.jpg`; or just
            `CLASS/*.jpg`, which is all taken for training.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.

    Returns:
        {"train", and if there are such folders "validation", "test"}; the classes of
        all are the sorted folders of "train".

    Raises:
        FileNotFoundError: if there is no such folder, or no class folders in it.
        ValueError: names a class folder without images, or classes "train" lacks.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder of images.")
    parts = {
        part: root / name
        for part, names in PARTS.items()
        for name in names
        if (root / name).is_dir()
    }
    if parts and "train" not in parts:
        raise FileNotFoundError(f"{root}: has {', '.join(parts)}, but no train folder.")
    parts = parts or {"train": root}
    sets: dict[str, ImageFiles] = {}
    classes = find_classes(parts["train"])
    for part, folder in parts.items():
        _check_known(folder, find_classes(folder), classes)
        names = [name for name in classes if (folder / name).is_dir()]
        files = {name: _images_below(folder, name) for name in names}
        labels = _labels(folder, files, classes)
        store = Paths(folder, [file for found in files.values() for file in found])
        sets[part] = ImageFiles(store, labels, human_names(classes), crop, threads)
    return sets


def read_zips(
    train: str | os.PathLike,
    validation: str | os.PathLike | None,
    crop: Crop,
    *,
    threads: int = 0,
) -> dict[str, ImageFiles]:
    """Zip archives of class folders (members `CLASS/*.webp`), read as they are.

    Args:
        train: the archive of training images.
        validation: that of validation images, if any.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.

    Returns:
        {"train", and if given "validation"}.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no zip archive, or as for `read_folder`.
    """
    found = {"train": _zipped(train)}
    if validation is not None:
        found["validation"] = _zipped(validation)
    classes = sorted(found["train"])
    archives = {"train": train, "validation": validation}
    sets = {}
    for part, files in found.items():
        archive = pathlib.Path(archives[part] or "")
        _check_known(archive, files, classes)
        files = {name: files[name] for name in classes if name in files}
        labels = _labels(archive, files, classes)
        store = ZipMembers(archive, [m for members in files.values() for m in members])
        sets[part] = ImageFiles(store, labels, human_names(classes), crop, threads)
    return sets


def find_classes(folder: pathlib.Path) -> list[str]:
    """The class folders' names, sorted; hidden ones are left out.

    Raises:
        FileNotFoundError: if there are none.
    """
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and _shown(p.name))
    if not names:
        raise FileNotFoundError(f"{folder}: no class folders there.")
    return names


def human_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Imagenette's and Imagewoof's WordNet names as words; other names as they are."""
    known = all(name in WORDNET for name in classes)
    return tuple(WORDNET[name] if known else name for name in classes)


def _images_below(folder, name):
    """The image files of a class, to the bottom, as paths from `folder`, sorted."""
    found = [
        os.path.join(where, file)
        for where, _, files in os.walk(folder / name, followlinks=True)
        for file in files
    ]
    return sorted(os.path.relpath(path, folder) for path in found if _is_image(path))


def _zipped(path):
    """The image files of each class in a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.namelist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a readable zip archive: {error}") from error
    classes: dict[str, list[str]] = {}
    for member in members:
        if "/" in member and _is_image(member) and _shown(member.split("/")[0]):
            classes.setdefault(member.split("/")[-2], []).append(member)
    if not classes:
        raise ValueError(f"{path}: no images in class folders (CLASS/*.jpg) there.")
    return classes


def _labels(place, files, classes):
    """[n] int32; a class without images is an error."""
    empty = [name for name, found in files.items() if not found]
    if empty:
        raise ValueError(
            f"{place}: no images in {_some(empty)}; looked for {', '.join(SUFFIXES)}."
        )
    counts = [len(found) for found in files.values()]
    return np.repeat([classes.index(name) for name in files], counts).astype(np.int32)


def _check_known(place, names, classes):
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise ValueError(f"{place}: train has no class {_some(unknown)}.")


def _some(names):
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest


def _is_image(path):
    name = os.path.basename(path)
    return name.lower().endswith(SUFFIXES) and _shown(name)


def _shown(name):
    """Not one of the files and folders that systems leave lying about."""
    return not name.startswith((".", "__"))
