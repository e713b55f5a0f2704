"""Files of weights from elsewhere: fetched once, gone on with where they were cut off.

A file comes from the mirror folder `$GPSATTN_WEIGHTS_DIR` if it is there, else from
the cache (`$GPSATTN_CACHE_DIR/weights`), else from its address. `GPSATTN_OFFLINE=1`
leaves the last out. Its SHA-256 is compared with the one that is known; where none is,
the first download's is printed and kept beside the file, and later ones must be the
same.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import http.client
import os
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from gpsattn_jax.files import cache_folder, replaced
from gpsattn_jax.progress import ProgressBar
from gpsattn_jax.systems import archives

MIRROR, OFFLINE = "GPSATTN_WEIGHTS_DIR", "GPSATTN_OFFLINE"
TRIES = 5  # of one call; each goes on where the last one was cut off
CHUNK = 1 << 18
WAIT = 30  # seconds for a server to say something

_HUB_WITH_REVISION = re.compile(
    r"hf:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[\w.-]+)/(?P<file>.+)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remote:
    """A file that can be fetched.

    Attributes:
        address: http(s) of the file.
        size: in bytes, where known.
        sha256: likewise.
        member: of a zip archive, the file that is wanted, or the folder of it that
            holds that file alone; size and SHA-256 are the archive's.
    """

    address: str
    size: int | None = None
    sha256: str | None = None
    member: str | None = None

    @property
    def name(self) -> str:
        """Of the file."""
        parts = urllib.parse.urlsplit(self.address)
        return pathlib.PurePosixPath(urllib.parse.unquote(parts.path)).name


def fetch(remote: Remote) -> pathlib.Path:
    """The file, from the mirror, the cache or its address; or its member, unpacked.

    Raises:
        FileNotFoundError: if it is neither kept nor allowed to be fetched.
        OSError: if it cannot be fetched or written; what has come is kept, and the next
            call goes on from there.
        ValueError: if it is not the file that was expected, which is thrown away; or
            an archive without the member.
    """
    kept = _cache_of(remote)
    path = _fetch_whole(remote, kept)
    if remote.member is None:
        return path
    name = remote.member.strip("/").replace("/", "-")
    try:
        return archives.extract(path, remote.member, kept / "members" / name)
    except ValueError as error:
        if path.parent != kept:  # the user's own mirror
            raise
        raise ValueError(f"{error} To fetch it anew, remove {kept}.") from error


def _cache_of(remote):
    """The folder in which a file is kept, whatever others are called."""
    mark = hashlib.sha256(remote.address.encode()).hexdigest()[:12]
    return cache_folder() / "weights" / mark


def _fetch_whole(remote: Remote, folder: pathlib.Path) -> pathlib.Path:
    """The file as it is at its address, from the mirror or in a folder of the cache."""
    mirrored = _in_mirror(remote.name)
    if mirrored is not None:
        _compare(mirrored, remote, None)
        return mirrored
    path = folder / remote.name
    pin = path.with_name(f"{path.name}.sha256")
    if path.is_file():
        _compare(path, remote, pin)
        return path
    _refuse_offline(remote.address, remote.name)
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(partial):
            if path.is_file():  # another process has fetched it meanwhile
                _compare(path, remote, pin)
                return path
            _fill(partial, remote)
            try:
                _compare(partial, remote, pin)
            except ValueError:
                partial.unlink()
                raise
            os.replace(partial, path)
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        raise OSError(
            f"{path} cannot be written: {error.strerror}. What has come is kept; the "
            "same command goes on from there."
        ) from error
    return path


def fetch_from_hub(source: str) -> pathlib.Path:
    """`hf:OWNER/NAME[@REVISION]/FILE`, by huggingface_hub and its own cache.

    Raises:
        ValueError: if the source is not of that form, or the file is another one than
            at its first use.
        ImportError: without huggingface_hub.
        OSError: if the hub does not give it.
    """
    repo, revision, name = split_hub(source)
    mirrored = _in_mirror(f"{repo}/{name}") or _in_mirror(pathlib.PurePath(name).name)
    if mirrored is not None:
        return mirrored
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{source} needs huggingface_hub (pip install 'gpsattn-jax[hub]')."
        ) from error
    try:
        found = huggingface_hub.hf_hub_download(
            repo, name, revision=revision, local_files_only=_is_offline()
        )
    except Exception as error:
        why = " ".join(str(error).split())
        raise OSError(f"{source}: {type(error).__name__}: {why:.300}") from error
    path = pathlib.Path(found)
    kept = cache_folder() / "weights" / "hub" / repo / (revision or "main")
    remote = Remote(address=source)
    _compare(path, remote, kept / f"{name}.sha256")
    return path


def split_hub(source: str) -> tuple[str, str | None, str]:
    """`hf:OWNER/NAME[@REVISION]/FILE` -> (OWNER/NAME, revision or None, FILE).

    Raises:
        ValueError: if it is not of that form.
    """
    found = _HUB_WITH_REVISION.fullmatch(source)
    if found:
        return found["repo"], found["revision"], found["file"]
    parts = source.removeprefix("hf:").split("/", 2)
    if "@" in source or len(parts) < 3 or not all(parts):
        raise ValueError(
            f"weights from the hub are hf:OWNER/NAME[@REVISION]/FILE; got {source!r}."
        )
    return "/".join(parts[:2]), None, parts[2]


def _in_mirror(name):
    folder = os.environ.get(MIRROR)
    if not folder:
        return None
    path = pathlib.Path(folder) / name
    return path if path.is_file() else None


def _is_offline():
    return os.environ.get(OFFLINE, "").lower() in ("1", "true", "yes")


def _refuse_offline(address, name):
    if _is_offline():
        raise FileNotFoundError(
            f"{address} is not kept here, and {OFFLINE} is set. Put {name} into a "
            f"folder and name that by ${MIRROR}."
        )


@contextlib.contextmanager
def _alone(partial: pathlib.Path) -> Iterator[None]:
    """While it lasts no other process writes this file."""
    with open(partial.with_name(f"{partial.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process fetches {partial.stem}; waiting.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(partial: pathlib.Path, remote: Remote) -> None:
    """Fetches what is missing of a file, in a few tries."""
    for number in range(TRIES):
        try:
            _fetch_rest(partial, remote)
            return
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            have = partial.stat().st_size if partial.exists() else 0
            last = error
            if number < TRIES - 1:
                print(f"{remote.name}: cut off at {have:,} bytes; going on.",
                      file=sys.stderr)  # fmt: skip
    raise OSError(
        f"{remote.address}: cut off at {have:,} bytes, {TRIES} times ({last!r:.100}). "
        "What has come is kept; the same command goes on from there."
    ) from last


def _fetch_rest(partial, remote):
    have = partial.stat().st_size if partial.exists() else 0
    if remote.size is not None and have == remote.size:
        return
    request = urllib.request.Request(remote.address)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            first, total = _extent(answer, have)
            _append(partial, answer, first, total, remote)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left, or it is another file by now
            if _total(error.headers) == have:
                return
            partial.unlink()
            raise ConnectionError("it has another length by now") from error
        raise OSError(f"{remote.address}: HTTP {error.code} {error.reason}.") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionError | TimeoutError):
            raise error.reason from error
        raise OSError(f"{remote.address}: {error.reason}.") from error


def _extent(answer, have):
    """(the first byte that comes, how many the file has or None)."""
    if answer.status == 206:
        found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if found and int(found[1]) == have:
            return have, _total(answer.headers)
    length = answer.headers.get("Content-Length")
    return 0, int(length) if length else None


def _total(headers):
    found = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _append(partial, answer, first, total, remote):
    wanted = remote.size if remote.size is not None else total
    if total is not None and remote.size not in (None, total):
        raise ValueError(
            f"{remote.address}: must have {remote.size:,} bytes; got {total:,}."
        )
    with open(partial, "r+b" if partial.exists() else "wb") as file:
        file.seek(first)
        file.truncate()
        done = first
        with _progress(remote.name, wanted) as show:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                show(done / 1e6)
    if total is not None and done < total:
        raise ConnectionError(f"{done:,} of {total:,} bytes came")


@contextlib.contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[float], Any]]:
    """Shows megabytes that have come, where it is known how many there are."""
    if total is None:
        yield lambda done: None
        return
    with ProgressBar(f"Fetching {name}", total / 1e6, "MB") as bar:
        yield bar.update


def _compare(path: pathlib.Path, remote: Remote, pin: pathlib.Path | None) -> None:
    """Raises ValueError if a file is not what is known of it; else remembers it."""
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        raise ValueError(f"{path}: must have {remote.size:,} bytes; got {size:,}.")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    wanted, why = remote.sha256, "is known"
    if wanted is None and pin is not None and pin.is_file():
        wanted, why = pin.read_text().strip(), f"was kept at its first use in {pin}"
    if wanted is None and pin is not None:
        with replaced(pin) as partial:
            partial.write_text(f"{found}\n")
        print(f"{remote.name}: SHA-256 {found}, kept for later.", file=sys.stderr)
    elif wanted is not None and found != wanted:
        raise ValueError(
            f"{path}: must have the SHA-256 that {why}, {wanted}; got {found}."
        )
