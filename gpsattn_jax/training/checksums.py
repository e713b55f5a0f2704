"""Checksums of a checkpoint's files: written before it gets its name, checked later.

One text file lists all others: `size crc32,crc32,… path`, a checksum for each piece of
8 MiB, so that the pieces of one large file are read by several threads. Its last line
is the checksum of the lines before it.
"""

import json
import os
import pathlib
import re
import zlib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from gpsattn_jax.reader_errors import open_regular, shorten

NAME = "checksums.txt"
# Orbax writes these again after the checksums; no number of a run is in them.
STEP_FILES = ("_CHECKPOINT_METADATA", "commit_success.txt")
# What a checkpoint's own settings say, so that a list that is gone is missed.
MARK = {"checksums": NAME}

_PIECE = 2**23  # bytes
_CHUNK = 2**17  # bytes that are read at once: they stay in a processor's cache
_LINE = re.compile(r"(\d+) ([0-9a-f]{8}(?:,[0-9a-f]{8})*) (.+)")


class Damaged(ValueError):
    """A file of a checkpoint is not what was saved; the text names it and says why."""


def write_checksums(folder: pathlib.Path) -> None:
    """Lists all files below a checkpoint's folder, once they are written.

    Args:
        folder: of the checkpoint; Orbax has not given it its name yet.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = [p for p in paths if not (p.parent == folder and p.name in _NOT_LISTED)]
    lines = []
    for path, found in zip(paths, _checksums(paths), strict=True):
        name = path.relative_to(folder).as_posix()
        lines.append(f"{path.stat().st_size} {','.join(found)} {name}\n")
    text = "".join(lines).encode()
    with (folder / NAME).open("wb") as file:
        file.write(text + b"%08x\n" % zlib.crc32(text))


def check(folder: pathlib.Path, items: Collection[str] | None = None) -> bool:
    """Compares the files of a checkpoint with what was listed at its save.

    Args:
        folder: of the checkpoint.
        items: the parts that will be read, folders in it; all of them if None.

    Returns:
        Whether there was a list; older checkpoints have none.

    Raises:
        Damaged: names the first file that is gone or is not what was saved.
        FileNotFoundError: if the whole checkpoint is gone: a run that goes on deletes
            old ones.
    """
    try:
        return _check(folder, items)
    except Damaged:
        if folder.is_dir():
            raise
    raise FileNotFoundError(f"{folder} has been deleted by the run; try again.")


def _check(folder, items):
    listed = _read_list(folder)
    if listed is None:
        if not folder.is_dir():
            raise Damaged
        return False
    chosen = {
        folder / name: known
        for name, known in listed.items()
        if items is None or name.split("/")[0] in items
    }
    for path, (size, _) in chosen.items():
        _check_size(path, size)
    for (path, (_, saved)), now in zip(chosen.items(), _checksums(chosen), strict=True):
        if now != saved:
            raise Damaged(f"{path} is not what was saved: its checksum differs.")
    return True


def _check_size(path, size):
    try:
        with open_regular(path) as file:
            found = os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise Damaged(f"{path} is missing.") from error
    except (ValueError, OSError) as error:
        raise Damaged(f"{path} cannot be read: {shorten(str(error), 300)}") from error
    if found != size:
        raise Damaged(f"{path} must have {size:,} bytes, as saved; got {found:,}.")


def _read_list(folder):
    """{file's name: (size, [checksum, …])}, or None where there is no list."""
    path = folder / NAME
    try:
        with open_regular(path, 2**28) as file:
            *lines, last = file.read().splitlines(keepends=True) or [b""]
    except FileNotFoundError:
        if _marked(folder):
            raise Damaged(f"{path} is missing.") from None
        return None
    except (ValueError, OSError) as error:
        raise Damaged(f"{path} cannot be read: {shorten(str(error), 300)}") from error
    if last != b"%08x\n" % zlib.crc32(b"".join(lines)):
        raise Damaged(f"{path} is not what was saved: its own checksum differs.")
    rows = [_LINE.fullmatch(line.decode().rstrip("\n")) for line in lines]
    if not all(rows):
        raise Damaged(f"{path} must hold lines of size, checksums and name.")
    return {row[3]: (int(row[1]), row[2].split(",")) for row in rows if row}


def _marked(folder):
    """Whether the checkpoint was saved with a list."""
    try:
        kept = json.loads((folder / STEP_FILES[0]).read_bytes())["custom_metadata"]
        return all(kept[name] == value for name, value in MARK.items())
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _checksums(paths: Iterable[pathlib.Path]) -> list[list[str]]:
    """For each file its pieces' checksums; an empty file is one piece."""
    paths = list(paths)
    pieces = [
        (path, start)
        for path in paths
        for start in range(0, max(path.stat().st_size, 1), _PIECE)
    ]
    # zlib lets other threads run; more of them than this would only slow training.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        found = list(pool.map(_checksum, pieces))
    by_path: dict[pathlib.Path, list[str]] = {path: [] for path in paths}
    for (path, _), value in zip(pieces, found, strict=True):
        by_path[path].append(value)
    return list(by_path.values())


def _checksum(piece):
    path, start = piece
    value, left, chunk = 0, _PIECE, memoryview(bytearray(_CHUNK))
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while left and (count := file.readinto(chunk[: min(left, _CHUNK)])):
            value = zlib.crc32(chunk[:count], value)
            left -= count
    return f"{value:08x}"


_NOT_LISTED = (NAME, *STEP_FILES)
