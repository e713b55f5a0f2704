"""Ctrl-C and SIGTERM as a polite request; a second, later one leaves at once."""

import signal
import threading
from types import FrameType

from gpsattn_jax.interrupts import Presses


class Interrupts:
    """Context in which the first SIGINT or SIGTERM only sets `requested`.

    One that follows within a second counts as the same; a later one has its usual
    effect. Outside the main thread, where Python allows no handlers, it does nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._presses = Presses()
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
        if not self._presses.new():
            return
        if self.requested:
            self._restore()
            signal.raise_signal(number)
        self.requested = True

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
