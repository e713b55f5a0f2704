"""Ctrl-C and SIGTERM as a polite request; a second one leaves at once."""

import signal
import threading
from types import FrameType


class Interrupts:
    """Context in which the first SIGINT or SIGTERM only sets `requested`.

    The second one has its usual effect. Outside the main thread, where Python allows no
    handlers, it does nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict = {}

    def __enter__(self) -> "Interrupts":
        """Installs the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._request) for s in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Puts the earlier handlers back."""
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
