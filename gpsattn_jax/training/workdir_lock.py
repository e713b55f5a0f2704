"""One run in a workdir at a time: a second one would delete the first one's saves."""

import contextlib
import errno
import os
import pathlib
import socket
import sys
import time
from collections.abc import Iterator

import jax

from gpsattn_jax.training.sharding import any_process

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
    """Holds a workdir; the system lets it go when the process ends, however it does.

    Process 0 of a run holds it for all of them. Where the file system knows no locks,
    the run goes on with a warning.

    Args:
        workdir: there already.

    Raises:
        BlockingIOError: on every process, if another run holds it.
    """
    refusal, file = None, None
    if jax.process_index() == 0:
        try:
            file = _lock(workdir)
        except OSError as error:
            refusal = error
    if any_process(refusal is not None):
        raise refusal or BlockingIOError(f"{workdir} is in use, says process 0.")
    try:
        yield
    finally:
        if file is not None:
            os.close(file)  # the file stays: to delete it would let two runs in


def _lock(workdir):
    """The open file, or None where there are no locks."""
    path = workdir / NAME
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        if fcntl is None:
            raise OSError(errno.ENOTSUP, "this system has none of Unix")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 200, 0).decode(errors="replace").strip()
        os.close(file)
        raise BlockingIOError(
            f"{workdir} is in use by {holder or 'another process'}. Choose another "
            "workdir, or wait for its end."
        ) from None
    except OSError as error:
        os.close(file)
        print(
            f"{path}: no locks here ({error.strerror}); take care that no second run "
            "uses this workdir.",
            file=sys.stderr,
        )
        return None
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = f"process {os.getpid()} of {socket.gethostname()} since {since}\n"
    with contextlib.suppress(OSError):  # a full disk: held all the same
        os.ftruncate(file, 0)
        os.pwrite(file, holder.encode(), 0)
    return file
