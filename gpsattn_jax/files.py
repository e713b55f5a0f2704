"""Files that appear whole or not at all, and are read only if they are files."""

import contextlib
import json
import math
import os
import pathlib
import stat
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO


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


def open_regular(path: str | os.PathLike, most_bytes: int = 2**40) -> BinaryIO:
    """Opens a file to read its bytes; a pipe or a device, which may never end, is none.

    Args:
        path: links are followed.
        most_bytes: a longer file is refused.

    Raises:
        FileNotFoundError, IsADirectoryError, OSError: as `open` does.
        ValueError: if it is no regular file, or too long.
    """
    status = os.stat(path)
    kind = stat.S_IFMT(status.st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        name = _KINDS.get(kind, "something else")
        raise ValueError(f"{path}: must be a file; got {name}.")
    if kind == stat.S_IFREG and status.st_size > most_bytes:
        raise ValueError(
            f"{path}: must have at most {most_bytes:,} bytes; got {status.st_size:,}."
        )
    return open(path, "rb")


@contextlib.contextmanager
def readable(
    path: str | os.PathLike, kind: str = "file", *, wanted: str = ""
) -> Iterator[None]:
    """Around a library's reader: whatever it raises becomes one error of ours.

    Damaged files make readers raise all sorts of things. That a file is missing, or may
    not be read, is not the same as that it is broken, and is passed on.

    Args:
        path: of the file, and perhaps of a part in it.
        kind: what it should be, such as "zip archive".
        wanted: the message's middle, if "not a readable KIND" is not it: "must be …".

    Raises:
        ValueError: `PATH: not a readable KIND: why`, or `PATH: WANTED; got why`.
    """
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:
        middle = f"{wanted}; got" if wanted else f"not a readable {kind}:"
        raise ValueError(f"{path}: {middle} {_why(error)}") from error


def _why(error):
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is."
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, KeyError):
        text = f"it lacks {text}"
    return text if text.endswith(".") else f"{text}."


_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


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
