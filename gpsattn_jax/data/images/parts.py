"""Which folders of a set are its parts, and which are classes."""

import os
import pathlib
from collections.abc import Sequence

from gpsattn_jax.data.images.walk import Walk

# In small letters; a folder may be written in any.
PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_ADVICE = "Name the parts train, val and test, each of class folders"


def find_parts(
    root: pathlib.Path, walk: Walk, notes: list[str]
) -> dict[str, pathlib.Path]:
    """The parts of a set by name; "train" is the folder itself if it has none.

    Args:
        root: the folder.
        walk: of the set; counts what is left out.
        notes: what people should know of the choice is added to them.

    Returns:
        {"train", and if they are there "validation", "test"}: folders of class folders.

    Raises:
        FileNotFoundError: if there are no folders in it.
        ValueError: names the folders that could be read in more than one way.
    """
    root = _open_wrapper(root, walk, notes)
    names = walk.subfolders(root)
    if not names:
        raise FileNotFoundError(f"{root}: no class folders there.")
    found = {
        part: [name for name in names if name.lower() in known]
        for part, known in PART_NAMES.items()
    }
    for part, same in found.items():
        if len(same) > 1:
            raise ValueError(
                f"{root}: must have one folder for {part}; got {', '.join(same)}."
            )
    parts = {part: same[0] for part, same in found.items() if same}
    others = [n for n in names if n not in parts.values() and _holds(root / n)]
    if not parts or _is_class(root, parts, others):
        return {"train": root}
    _check_train(root, parts, others)
    if others:
        notes.append(f"not used: {_some(others)}, beside the parts")
    return _with_classes(root, parts, notes)


def _open_wrapper(root, walk, notes):
    """The folder inside, as long as there is but one with folders in it."""
    for _ in range(8):
        names = walk.subfolders(root)
        if len(names) != 1 or names[0].lower() in sum(PART_NAMES.values(), ()):
            break
        inner = root / names[0]
        if Walk(root).direct(root) or Walk(inner).direct(inner):
            break
        if not any(_holds(inner / name) for name in Walk(inner).subfolders(inner)):
            break
        notes.append(f"taken: {inner}, the only folder there")
        root = inner
    return root


def _is_class(root, parts, others):
    """Whether the one folder with a part's name is a class, such as trains."""
    if list(parts) != ["train"] or not others:
        return False
    folder = root / parts["train"]
    return bool(Walk(folder).direct(folder)) and not _has_classes(folder)


def _check_train(root, parts, others):
    named = ", ".join(parts.values())
    if "train" not in parts:
        if not others:
            raise FileNotFoundError(
                f"{root}: has {', '.join(parts)}, but no train folder."
            )
        raise ValueError(
            f"{root}: {named} may be a part or a class beside {_some(others)}. "
            f"{_ADVICE}, or rename the class."
        )
    folder = root / parts["train"]
    if not _has_classes(folder):
        if not _holds(folder):
            raise FileNotFoundError(f"{folder}: no class folders there.")
        raise ValueError(
            f"{folder}: its pictures must lie in class folders, as CLASS/1.jpg."
        )
    if others and list(parts) == ["train"]:
        raise ValueError(
            f"{root}: {_some(others)} beside {named} may be a part or a class. "
            f"{_ADVICE}, and move other folders away."
        )


def _with_classes(root, parts, notes):
    """The parts that have class folders; one of plain pictures has no labels."""
    folders = {}
    for part, name in parts.items():
        folder = root / name
        if _has_classes(folder):
            folders[part] = folder
        else:
            notes.append(f"not used: {folder} has no class folders, so no labels")
    return folders


def _has_classes(folder):
    return any(_holds(folder / name) for name in Walk(folder).subfolders(folder))


def _holds(folder):
    """Whether there is any picture below a folder."""
    return any(True for _ in Walk(folder).pictures(folder))


def _some(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(os.fspath, names[:most])) + rest
