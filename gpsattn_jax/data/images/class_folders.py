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
from gpsattn_jax.data.images.labelled_sets import LabelledSets, class_list
from gpsattn_jax.data.images.parts import find_parts
from gpsattn_jax.data.images.walk import (
    Walk,
    begins_as_picture,
    is_picture,
    is_visible,
)
from gpsattn_jax.files import as_text
from gpsattn_jax.reader_errors import readable

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
) -> LabelledSets:
    """The parts of a set in class folders; Imagenette and ImageNet are such sets.

    Args:
        root: holds `train/CLASS/*.jpg` and, if there are such parts,
            `val/CLASS/*.jpg` (or `validation`) and `test/CLASS/*.jpg`; or just
            `CLASS/*.jpg`, which is all taken for training.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.

    Returns:
        "train", and if there are such folders "validation", "test"; the classes of all
        are the sorted folders of "train".

    Raises:
        FileNotFoundError: if there is no such folder, or no class folders in it.
        ValueError: names a class folder without images, classes "train" lacks, or
            folders that could be read in more than one way.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder of images.")
    notes: list[str] = []
    walk = Walk(root)
    parts = find_parts(root, walk, notes)
    walk.left_out = type(walk.left_out)()  # to find the parts, folders are met before
    classes = walk.subfolders(parts["train"])
    sets = {}
    for part, folder in parts.items():
        names = walk.subfolders(folder) if part != "train" else classes
        _check_known(folder, names, classes)
        for path in Walk(root).direct(folder):
            walk.left_out.add("picture in no class folder", path)
        files = {name: _below(walk, folder, name) for name in names}
        sets[part] = _with_labels(folder, files, classes, crop, threads)
    notes += [f"left out: {line}" for line in walk.left_out.lines()]
    return LabelledSets(sets, tuple(notes))


def read_labelled(
    root: str | os.PathLike,
    class_names: Sequence[str],
    crop: Crop,
    *,
    threads: int = 0,
) -> tuple[ImageFiles, tuple[str, ...]]:
    """Pictures of known classes, to be scored: of a folder of class folders.

    Args:
        root: class folders, of some of the classes or all; of a set with parts its test
            part is taken, or else its validation part.
        class_names: of the network; a folder bears one of them, or its WordNet name.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.

    Returns:
        (the images, notes on what was left out).

    Raises:
        FileNotFoundError: as for `read_folder`.
        ValueError: names the folders that are no known class.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder of images.")
    notes: list[str] = []
    walk = Walk(root)
    parts = find_parts(root, walk, notes)
    part = next(p for p in ("test", "validation", "train") if p in parts)
    folder, numbers = parts[part], {n: i for i, n in enumerate(class_names)}
    walk.left_out = type(walk.left_out)()
    names = walk.subfolders(folder)
    known = {n: numbers.get(as_text(n), numbers.get(WORDNET.get(n, ""))) for n in names}
    unknown = [name for name, number in known.items() if number is None]
    if unknown:
        raise ValueError(
            f"{folder}: {_some(unknown)} must be classes of the run, which are "
            f"{class_list(class_names)}."
        )
    files = {name: _below(walk, folder, name) for name in names}
    _check_filled(folder, files)
    counts = [len(found) for found in files.values()]
    labels = np.repeat([known[name] for name in files], counts).astype(np.int32)
    store = Paths(folder, [file for found in files.values() for file in found])
    notes += [f"left out: {line}" for line in walk.left_out.lines()]
    images = ImageFiles(store, labels, tuple(class_names), crop, threads)
    return images, tuple(notes)


def read_zips(
    train: str | os.PathLike,
    validation: str | os.PathLike | None,
    crop: Crop,
    *,
    threads: int = 0,
) -> LabelledSets:
    """Zip archives of class folders (members `CLASS/*.webp`), read as they are.

    Args:
        train: the archive of training images.
        validation: that of validation images, if any.
        crop: how an image becomes a square.
        threads: see `ImageFiles`.

    Returns:
        "train", and if given "validation".

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no zip archive, or as for `read_folder`.
    """
    archives = {"train": train}
    if validation is not None:
        archives["validation"] = validation
    found = {part: _members_by_class(path) for part, path in archives.items()}
    classes = sorted(found["train"])
    sets = {}
    for part, files in found.items():
        archive = pathlib.Path(archives[part])
        _check_known(archive, files, classes)
        files = {name: files[name] for name in classes if name in files}
        sets[part] = _with_labels(archive, files, classes, crop, threads, ZipMembers)
    return LabelledSets(sets)


def human_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Imagenette's and Imagewoof's WordNet names as words; other names as they are."""
    known = all(name in WORDNET for name in classes)
    return tuple(WORDNET[name] if known else as_text(name) for name in classes)


def _below(walk, folder, name):
    """The pictures of a class, to the bottom, as paths from `folder`, sorted."""
    found = walk.pictures(folder / name)
    return sorted(os.path.relpath(path, folder) for path in found)


def _members_by_class(path):
    """The image files of each class in a zip archive."""
    classes: dict[str, list[str]] = {}
    with readable(path, "zip archive"), zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            *folders, name = member.split("/")
            if not (folders and name and all(map(is_visible, [*folders, name]))):
                continue
            if is_picture(name) or _begins_so(archive, member):
                classes.setdefault(folders[-1], []).append(member)
    if not classes:
        raise ValueError(f"{path}: no images in class folders (CLASS/*.jpg) there.")
    return classes


def _begins_so(archive, member):
    """Whether a member without a suffix is a picture."""
    if os.path.splitext(member)[1]:
        return False
    with archive.open(member) as file:
        return begins_as_picture(file.read(16))


def _with_labels(place, files, classes, crop, threads, store=Paths):
    """The images of one part; a class without any is an error."""
    _check_filled(place, files)
    counts = [len(found) for found in files.values()]
    labels = np.repeat([classes.index(name) for name in files], counts)
    names = [file for found in files.values() for file in found]
    return ImageFiles(
        store(place, names),
        labels.astype(np.int32),
        human_names(classes),
        crop,
        threads,
    )


def _check_filled(place, files):
    empty = [name for name, found in files.items() if not found]
    if empty:
        raise ValueError(
            f"{place}: no images in {_some(empty)}; looked for {', '.join(SUFFIXES)}."
        )


def _check_known(place, names, classes):
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise ValueError(
            f"{place}: train has no class {_some(unknown)}; it has "
            f"{class_list(classes)}."
        )


def _some(names):
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest
