"""What readers of files share: regular files, and errors that name the file."""

import codecs
import contextlib
import io
import os
import pathlib
import reprlib
import stat
from collections.abc import Iterator, Sequence
from typing import Any


def check_file(path: str | os.PathLike, what: str, most: int | None = None) -> None:
    """Raises unless a path is a regular file, so that no reader waits or fills memory.

    Args:
        path: of the file.
        what: it should hold, for the message.
        most: bytes that it may have.

    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: if it is a folder, a pipe or a device, or too large.
    """
    try:
        known = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{path}: no such file of {what}.") from error
    except OSError as error:  # a loop of links, no permission
        raise type(error)(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(known.st_mode):
        kind = "a folder" if stat.S_ISDIR(known.st_mode) else "a pipe or a device"
        raise ValueError(f"{path} must be a regular file of {what}; got {kind}.")
    if most is not None and known.st_size > most:
        raise ValueError(
            f"{path} must have {most:,} bytes at most, as a file of {what}; got "
            f"{known.st_size:,}."
        )


def read_text(path: str | os.PathLike, what: str, most: int) -> str:
    """The text of a small file in UTF-8, or in UTF-16 as spreadsheets write it.

    Args:
        path: of the file.
        what: it should hold, for messages.
        most: bytes that it may have.

    Raises:
        FileNotFoundError, OSError: if there is no such file, or it may not be read.
        ValueError: as `check_file`, or if it is neither.
    """
    check_file(path, what, most)
    data = pathlib.Path(path).read_bytes()
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return io.IncrementalNewlineDecoder(None, True).decode(
            data.decode("utf-16" if utf_16 else "utf-8-sig"), final=True
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be UTF-8 text; got byte {error.object[error.start]:#x} at "
            f'{error.start}. Spreadsheets save it as "CSV UTF-8".'
        ) from error


@contextlib.contextmanager
def named_errors(path: str | os.PathLike, where: str = "", what: str = "") -> Iterator:
    """Turns whatever a library's reader raises into a ValueError that names the file.

    Our own errors, whose text begins with the path, pass as they are.

    Args:
        path: of the file.
        where: what of it was read; the path by default.
        what: it was read as, such as "HDF5".
    """
    try:
        yield
    except (MemoryError, Exception) as error:
        text = str(error)
        if isinstance(error, ValueError | OSError) and text.startswith(os.fspath(path)):
            raise
        kind = "" if isinstance(error, ValueError | OSError) else type(error).__name__
        why = ": ".join(filter(None, (kind, shorten(text, 200))))
        raise ValueError(
            f"{where or path}: not readable{what and f' as {what}'}: {why or 'damaged'}"
        ) from error


def shorten(value: Any, most: int = 60) -> str:
    """A value for a message: text and lists of any size or depth, cut to a line.

    Args:
        value: text, a sequence of texts (joined by commas), or anything.
        most: characters of a text.
    """
    if isinstance(value, str):
        value = " ".join(value[: 4 * most].split())
        return value if len(value) <= most else value[: most - 1] + "…"
    if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
        first = [shorten(one, most) for one in value[:10]]
        more = [f"and {len(value) - 10} more"] if len(value) > 10 else []
        return ", ".join(first + more)
    text = _SHORT.repr(value)
    return text if len(text) <= 3 * most else text[: 3 * most - 1] + "…"


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60
