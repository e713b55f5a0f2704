"""Files that appear whole or not at all."""

import contextlib
import json
import math
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any


def cache_folder() -> pathlib.Path:
    """`$GPSATTN_CACHE_DIR`, or `~/.cache/gpsattn_jax`."""
    chosen = os.environ.get("GPSATTN_CACHE_DIR")
    return pathlib.Path(chosen or pathlib.Path.home() / ".cache" / "gpsattn_jax")


@contextlib.contextmanager
def replaced(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`, which takes its place on success.

    The folder is made. After an error the old file, if any, is as it was.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix="~")
    os.close(handle)
    try:
        yield pathlib.Path(partial)
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def as_text(name: str) -> str:
    """A file's name to write and draw: bytes of it that are no text are escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes a tree of dicts, lists, texts and numbers; NaN, which JSON lacks, is null.

    Raises:
        OSError: names the file that cannot be written, and why.
    """
    try:
        with replaced(path) as partial:
            partial.write_text(json.dumps(_without_nan(content), indent=1) + "\n")
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"{path} cannot be written: {why}.") from error


def _without_nan(tree):
    if isinstance(tree, dict):
        return {name: _without_nan(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_without_nan(value) for value in tree]
    return None if isinstance(tree, float) and math.isnan(tree) else tree


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
