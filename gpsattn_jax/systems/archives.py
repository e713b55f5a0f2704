"""One file out of a zip archive that came from elsewhere.

Nothing is written where the archive says: the file gets a name of ours, and has only as
many bytes as a file of weights may have.
"""

import pathlib
import zipfile
import zlib

from gpsattn_jax.files import replaced
from gpsattn_jax.reader_errors import readable, shorten

MOST_BYTES = 1 << 28  # of a file; a released PGL-SUM has 38 million


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
        entry = _find(archive, opened, member)
        if _is_kept(path, entry):
            return path
        with readable(archive, where=f"{archive}: {entry.filename}"):
            content = opened.read(entry)  # no more than the entry says it has
    try:
        with replaced(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"{path} cannot be written: {why}.") from error
    return path


def _find(archive, opened, member):
    """The entry that a member's name means."""
    files = [entry for entry in opened.infolist() if not entry.is_dir()]
    exact = [entry for entry in files if entry.filename == member]
    found = exact or [
        entry
        for entry in files
        if entry.filename.rpartition("/")[0] == member.rstrip("/")
    ]
    if len(found) != 1:
        names = sorted(entry.filename for entry in (found or files))
        got = f"{len(found)} of them" if found else "none"
        raise ValueError(
            f"{archive}: must hold one file {member} or below it; got {got}. It holds "
            f"{shorten(names) or 'nothing'}."
        )
    _check(archive, found[0])
    return found[0]


def _check(archive, entry):
    """Raises ValueError for an entry that is not read."""
    if entry.flag_bits & 1:
        raise ValueError(f"{archive}: {entry.filename} must not be encrypted.")
    if entry.file_size > MOST_BYTES:
        raise ValueError(
            f"{archive}: {entry.filename} must have at most {MOST_BYTES:,} bytes; "
            f"got {entry.file_size:,}."
        )


def _is_kept(path, entry):
    """Whether a file is the one of the archive, by its size and checksum."""
    if not path.is_file() or path.stat().st_size != entry.file_size:
        return False
    return zlib.crc32(path.read_bytes()) == entry.CRC
