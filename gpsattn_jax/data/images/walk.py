"""The pictures below a folder: each once, and a count of all that was left out."""

import collections
import os
import stat
from collections.abc import Iterator

from gpsattn_jax.data.images.decode import SUFFIXES
from gpsattn_jax.reader_errors import open_regular

# What systems leave lying about in folders of pictures.
LITTER = {
    "@eaDir", "@Recycle", "#recycle", "#snapshot", "$RECYCLE.BIN", "lost+found",
    "System Volume Information",
}  # fmt: skip
# How the formats of `decode` begin; a RIFF file is a picture if WEBP follows.
_BEGINNINGS = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0",
    b"MM\0*", b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n",
)  # fmt: skip


class LeftOut:
    """What a walk did not take: how many for each reason, and the first of them."""

    def __init__(self) -> None:
        self._counts: collections.Counter[str] = collections.Counter()
        self._first: dict[str, str] = {}

    def add(self, reason: str, path: str | os.PathLike) -> None:
        """Counts one more."""
        self._counts[reason] += 1
        self._first.setdefault(reason, os.fspath(path))

    def lines(self) -> list[str]:
        """A line for each reason: `3 hidden (first: cats/.cache)`."""
        return [
            f"{count} {reason} (first: {self._first[reason]})"
            for reason, count in sorted(self._counts.items())
        ]


class Walk:
    """Walks below folders of one set.

    Links are followed, but not to folders of the set itself nor to folders above; a
    file that is reached twice is taken once.

    Args:
        root: of the set.
    """

    def __init__(self, root: str | os.PathLike):
        self.left_out = LeftOut()
        self._root = os.path.realpath(root)
        self._known: set[tuple[int, int]] = set()

    def pictures(self, folder: str | os.PathLike) -> Iterator[str]:
        """Paths of the pictures below a folder, in no order to rely on."""
        waiting = [os.fspath(folder)]
        while waiting:
            place = waiting.pop()
            if self._is_new(place):
                yield from self._in_one(place, waiting)

    def subfolders(self, folder: str | os.PathLike) -> list[str]:
        """Names of the folders in a folder, but hidden ones and loops, sorted."""
        names = []
        with os.scandir(os.fspath(folder)) as entries:
            for entry in entries:
                if not is_visible(entry.name):
                    self.left_out.add("hidden", entry.path)
                elif _is_folder(entry) and self._may_follow(entry):
                    names.append(entry.name)
        return sorted(names)

    def direct(self, folder: str | os.PathLike) -> list[str]:
        """Paths of the pictures that lie in a folder itself, sorted."""
        return sorted(self._in_one(os.fspath(folder), []))

    def _in_one(self, folder, waiting):
        device = os.stat(folder).st_dev
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not is_visible(entry.name):
                    self.left_out.add("hidden", entry.path)
                elif _is_folder(entry):
                    if self._may_follow(entry):
                        waiting.append(entry.path)
                elif self._is_taken(entry, device):
                    yield entry.path

    def _is_new(self, folder):
        status = os.stat(folder)
        return self._remember((status.st_dev, status.st_ino), folder, "folder")

    def _remember(self, key, path, kind):
        if key in self._known and key[1]:  # some file systems number nothing
            self.left_out.add(f"{kind} met a second time", path)
            return False
        self._known.add(key)
        return True

    def _may_follow(self, entry):
        """A link into the set, or to a folder that holds it, labels pictures anew."""
        if not entry.is_symlink():
            return True
        real = os.path.realpath(entry.path)
        here = os.path.realpath(os.path.dirname(entry.path))
        if _is_within(real, self._root) or any(
            _is_within(place, real) for place in (self._root, here)
        ):
            self.left_out.add("link to a folder of the set or above it", entry.path)
            return False
        return True

    def _is_taken(self, entry, device):
        if entry.is_symlink():
            try:
                status = os.stat(entry.path)
            except OSError:  # nothing is there, or a link to itself
                self.left_out.add("broken link", entry.path)
                return False
            key, regular = (status.st_dev, status.st_ino), stat.S_ISREG(status.st_mode)
        else:  # asks no file for more than its folder says
            key, regular = (device, entry.inode()), entry.is_file(follow_symlinks=False)
        if not regular:
            self.left_out.add("pipe, device or socket", entry.path)
            return False
        if not is_picture(entry.path):
            suffix = os.path.splitext(entry.name)[1].lower()
            self.left_out.add(f"file {suffix or 'without suffix'}", entry.path)
            return False
        return self._remember(key, entry.path, "picture")


def is_visible(name: str) -> bool:
    """Whether a file or folder is none of those that systems leave lying about."""
    return not name.startswith((".", "__")) and name not in LITTER


def is_picture(path: str) -> bool:
    """Whether a file is a picture by its suffix; if it has none, by how it begins."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix:
        return suffix in SUFFIXES
    try:
        with open_regular(path) as file:
            return begins_as_picture(file.read(16))
    except (OSError, ValueError):
        return False


def begins_as_picture(content: bytes) -> bool:
    """Whether the first 16 bytes of a file are those of a picture."""
    webp = content.startswith(b"RIFF") and content[8:12] == b"WEBP"
    return webp or content.startswith(_BEGINNINGS)


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_within(path, folder):
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
