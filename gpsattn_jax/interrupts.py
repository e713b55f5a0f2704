"""Ctrl-C: two presses at once are one, and a later one helps even in native code."""

import atexit
import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

SAME_PRESS = 1.0  # seconds; a signal so soon after another is the same request
_GRACE = 1.0  # seconds that Python code has to answer a signal, from the second one on


class Presses:
    """Tells a new request from the echo of the last one.

    Fingers press twice, and a shell and its parents may each pass a signal on.
    """

    answered = 0.0  # of all of them: when Python code last answered a signal

    def __init__(self) -> None:
        self._last = -float("inf")

    def new(self) -> bool:
        """Whether a signal that has just come is a request of its own."""
        now = Presses.answered = time.monotonic()
        if now - self._last < SAME_PRESS:
            return False
        self._last = now
        return True

    def forget(self) -> None:
        """Makes the next signal a new one."""
        self._last = -float("inf")


def leave(seconds: float) -> None:
    """To be called when a command ends by Ctrl-C: a new one ends it at once.

    Args:
        seconds: after which it ends by itself. Python waits for all threads, and one
            that Ctrl-C met as it began may wait for work for ever.
    """
    timer = threading.Timer(seconds, os._exit, (130,))
    timer.daemon = True
    timer.start()
    if threading.current_thread() is threading.main_thread():
        presses = Presses()
        presses.new()
        signal.signal(signal.SIGINT, functools.partial(_leave, presses))


def _leave(presses, number, frame):
    if presses.new():
        os._exit(128 + number)


@contextlib.contextmanager
def interruptible(say: str) -> Iterator[None]:
    """In it, Ctrl-C raises KeyboardInterrupt, once for a double press.

    Python answers a signal when its main thread leaves native code, which may be
    compiling for minutes. The first request waits for that, a later one ends the
    process: with 128 and the signal's number, as a shell has it. After
    KeyboardInterrupt, Ctrl-C does nothing until `leave`. Outside the main thread, where
    Python allows no handlers, nothing is done.

    Args:
        say: the line printed where the process is ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    presses, over = Presses(), threading.Event()

    def answer(number: int, frame: FrameType | None) -> None:
        if presses.new() and not over.is_set():
            raise KeyboardInterrupt

    def again(unraisable):  # was raised where Python drops errors, as in a destructor
        if unraisable.exc_type is KeyboardInterrupt:
            presses.forget()
            # A moment later, when Python has left the place where it would be dropped.
            once_more = os.kill, (os.getpid(), signal.SIGINT)
            threading.Timer(0.01, *once_more).start()
        else:
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, again
    earlier = signal.signal(signal.SIGINT, answer)
    watched, written = socket.socketpair()
    written.setblocking(False)
    before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(watched, say), daemon=True).start()
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        over.set()
        if not interrupted:
            signal.signal(signal.SIGINT, earlier)
        signal.set_wakeup_fd(before)
        written.close()
        sys.unraisablehook = hook


@atexit.register
def _deafen():
    """Python gives its own handlers up last of all, and a signal would kill it then."""
    if getattr(signal.getsignal(signal.SIGINT), "func", None) is _leave:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _watch(watched, say):
    """Ends the process at a second request that Python code does not answer."""
    first = None
    while number := watched.recv(1):
        now = time.monotonic()
        first = now if first is None else first
        if number[0] not in (signal.SIGINT, signal.SIGTERM) or now - first < SAME_PRESS:
            continue
        time.sleep(_GRACE)
        if Presses.answered < now:
            os.write(sys.stderr.fileno(), f"\n{say}\n".encode())
            os._exit(128 + number[0])
