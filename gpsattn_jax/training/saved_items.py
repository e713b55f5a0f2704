"""The items of a checkpoint as Orbax keeps them: a folder of arrays or JSON each."""

import json
import os
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from gpsattn_jax.reader_errors import open_regular, shorten
from gpsattn_jax.stacks import path_name
from gpsattn_jax.training.checksums import STEP_FILES, Damaged

_JSON = {"metrics": "metrics", "metadata": "metadata", "position": "metadata"}
_MOST_BYTES = 2**26  # of JSON


def json_file(folder: pathlib.Path, item: str) -> pathlib.Path:
    """The file of an item that is JSON.

    Args:
        folder: of the checkpoint.
        item: metrics, metadata or position.
    """
    return folder / item / _JSON[item]


def read_object(
    folder: pathlib.Path, item: str, absent: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An item that is JSON.

    Args:
        folder: of the checkpoint.
        item: metrics, metadata or position.
        absent: what stands for an item that the checkpoint lacks.

    Raises:
        Damaged: if it is missing, or no JSON object.
    """
    path = json_file(folder, item)
    if absent is not None and not path.parent.is_dir():
        return absent
    try:
        with open_regular(path, _MOST_BYTES) as file:
            found = json.loads(file.read())
    except FileNotFoundError as error:
        raise Damaged(f"{path} is missing.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{path} must hold JSON: {one_line(error)}.") from error
    if not isinstance(found, dict):
        raise Damaged(f"{path} must hold an object; got {found!r:.60}.")
    return found


def fits(folder: pathlib.Path, trees: dict[str, Any]) -> bool:
    """Whether the arrays of items have the wanted names and shapes.

    What cannot be read is damaged, and may have fitted.

    Args:
        folder: of the checkpoint.
        trees: of shapes, by item.
    """
    for item, tree in trees.items():
        if not (folder / item).is_dir():
            return item in item_names(folder)
        try:
            saved = ocp.PyTreeCheckpointHandler().metadata(folder / item).tree
            if _shapes(saved) != _shapes(tree):
                return False
        except Exception:  # Orbax and its storage raise all sorts of things
            return True
    return True


def read_all(folder: pathlib.Path) -> None:
    """Reads every item of a checkpoint without checksums, to see whether one can.

    Args:
        folder: of the checkpoint.

    Raises:
        Damaged: names the file or the item that cannot be read.
    """
    for item in item_names(folder):
        if item in _JSON:
            read_object(folder, item)
            continue
        try:
            handler = ocp.PyTreeCheckpointHandler()
            saved = handler.metadata(folder / item).tree
            as_numpy = jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), saved
            )
            args = ocp.args.PyTreeRestore(restore_args=as_numpy)
            handler.restore(folder / item, args=args)
        except Exception as error:  # as above
            raise Damaged(
                f"{folder / item} cannot be read: {one_line(error)}"
            ) from error


def move(folder: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """Moves a checkpoint into another folder; returns its new path.

    Args:
        folder: of the checkpoint.
        into: made if need be; what is there already stays.
    """
    into.mkdir(exist_ok=True)
    names = [folder.name, *(f"{folder.name}-{i}" for i in range(2, 1000))]
    path = next(into / name for name in names if not (into / name).exists())
    os.rename(folder, path)
    return path


def one_line(error: Exception) -> str:
    """What a library's error says, on one line."""
    return shorten(str(error), 300).rstrip(".") or type(error).__name__


def item_names(folder: pathlib.Path) -> list[str]:
    """The names of what was saved."""
    try:
        kept = json.loads((folder / STEP_FILES[0]).read_bytes())
        return sorted(kept["item_handlers"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return sorted(path.name for path in folder.iterdir() if path.is_dir())


def _shapes(tree):
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {path_name(path): tuple(leaf.shape) for path, leaf in leaves}
