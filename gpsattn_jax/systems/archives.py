"""One file out of a zip archive that came from elsewhere.

Nothing is written where the archive says: the file gets a name of ours, beside the
archive, and only as many bytes as a file of weights may have.
"""

import contextlib
import pathlib
import zipfile
import zlib

from gpsattn_jax.files import replaced
from gpsattn_jax.reader_errors import readable, shorten

MOST_BYTES = 1 << 30  # of a file; a network of this library has far fewer
CHUNK = 1 << 20


def extract(archive: pathlib.Path, member: str, path: pathlib.Path) -> pathlib.Path:
    """A file of an archive; unpacked once, and again where what is kept was changed.

    Args:
        archive: a zip.
        member: its file, or a folder of it that holds one file, whatever its name.
        path: of the file to write; it appears whole or not at all.

    Returns:
        `path`.

    Raises:
        FileNotFoundError: if there is no archive.
        ValueError: if it is damaged or no zip, has no such member (the message lists
            what it has), or the member is encrypted or too large.
        OSError: if the file cannot be written.
    """
    with readable(archive, "zip archive"), zipfile.ZipFile(archive) as opened:
        found = _find(archive, opened, member)
    if _is_kept(path, found):
        return path
    with contextlib.ExitStack() as stack:
        partial = stack.enter_context(replaced(path))
        stack.enter_context(readable(archive, where=f"{archive}: {found.filename}"))
        opened = stack.enter_context(zipfile.ZipFile(archive))
        with opened.open(found) as source, open(partial, "wb") as file:
            _copy(source, file)
    return path


def _find(archive, opened, member):
    """The entry that a member's name means."""
    files = [entry for entry in opened.infolist() if not entry.is_dir()]
    inside = f"{member.rstrip('/')}/"
    exact = [entry for entry in files if entry.filename == member]
    found = exact or [
        entry
        for entry in files
        if entry.filename.startswith(inside) and "/" not in entry.filename[len(inside):]
    ]  # fmt: skip
    if len(found) != 1:
        names = sorted(entry.filename for entry in (found or files))
        got = f"{len(found)} of them" if found else "none"
        raise ValueError(
            f"{archive}: must hold one file {member} or below it; got {got}. It holds "
            f"{shorten(names) or 'nothing'}."
        )
    if found[0].flag_bits & 1:
        raise ValueError(f"{archive}: {found[0].filename} must not be encrypted.")
    if found[0].file_size > MOST_BYTES:
        raise ValueError(
            f"{archive}: {found[0].filename} must have at most {MOST_BYTES:,} bytes; "
            f"got {found[0].file_size:,}."
        )
    return found[0]


def _is_kept(path, entry):
    """Whether a file is the one of the archive, by its size and checksum."""
    if not path.is_file() or path.stat().st_size != entry.file_size:
        return False
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum == entry.CRC


def _copy(source, file):
    """At most `MOST_BYTES`, whatever the archive says of the size."""
    left = MOST_BYTES
    while chunk := source.read(CHUNK):
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes.")
        file.write(chunk)
