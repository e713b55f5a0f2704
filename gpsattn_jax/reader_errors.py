"""What readers of files share: regular files, and errors that name the file."""

import codecs
import contextlib
import io
import os
import pathlib
import reprlib
import stat
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO


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
    path: str | os.PathLike, kind: str = "file", *, where: str = "", wanted: str = ""
) -> Iterator[None]:
    """Around a library's reader: whatever it raises becomes one error of ours.

    Damaged files make readers raise all sorts of things. That a file is missing, or may
    not be read, is not the same as that it is broken, and is passed on; so are our own
    errors, whose text begins with the path.

    Args:
        path: of the file.
        kind: what it should be, such as "zip archive".
        where: the place in the file, with its path; the path by default.
        wanted: the message's middle, if "not a readable KIND" is not it: "must be …".

    Raises:
        ValueError: `WHERE: not a readable KIND: why`, or `WHERE: WANTED; got why`.
    """
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:
        ours = isinstance(error, ValueError | OSError)
        if ours and str(error).startswith(os.fspath(path)):
            raise
        middle = f"{wanted}; got" if wanted else f"not a readable {kind}:"
        raise ValueError(f"{where or path}: {middle} {_why(error)}") from error


def _why(error):
    """A library's error in a line; of Python's own kinds the kind tells more."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is."
    text = shorten(str(error), 300) or type(error).__name__
    if isinstance(error, KeyError):
        text = f"it lacks {text}"
    elif isinstance(error, ArithmeticError | LookupError | RecursionError | TypeError):
        text = f"{type(error).__name__}: {text}"
    return text if text.endswith(".") else f"{text}."


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
_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip
