"""What JAX does while a first call takes its time: a running clock, or a line."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import jax

from gpsattn_jax.progress import Display, clock

PATIENCE = 2.0  # seconds before anything is said
# Compiling takes so many times as long as tracing: 3 to 5 for the networks here.
PER_TRACE = 4
# JAX reports it when tracing is over and XLA begins, in the thread that calls.
_LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_waits: list["_Wait"] = []


@contextlib.contextmanager
def announced(what: str, name: str, stream: TextIO | None = None) -> Iterator[None]:
    """Says what takes its time: a clock on a terminal, a line a phase elsewhere.

    What is over within two seconds, such as a program that was kept, says nothing.

    Args:
        what: is called for the first time, such as "the training step".
        name: of the jitted function.
        stream: where to; standard error by default.
    """
    wait = _Wait(what, name, stream)
    _waits.append(wait)
    ticker = threading.Thread(target=wait.tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        _waits.remove(wait)
        wait.over.set()
        ticker.join()


class _Wait:
    """One call: what is said about it, and whether it is over."""

    def __init__(self, what: str, name: str, stream: TextIO | None):
        self.program = f"jit({name})"
        self._what, self._start = what, time.monotonic()
        self._phase = f"Tracing {what}"
        self._display = Display(stream)
        self.over = threading.Event()

    def traced(self):
        """From here on XLA compiles."""
        about = clock(PER_TRACE * (time.monotonic() - self._start))
        self._phase = (
            f"Compiling {self._what} (the first time about {about}; the next run reads "
            "what is kept)"
        )

    def tick(self):
        """Shows the phase until the call is over."""
        if self.over.wait(PATIENCE):
            return
        said = ""
        while True:
            if self._display.terminal:
                self._display.note_over(
                    f"{self._phase}  {clock(time.monotonic() - self._start)}"
                )
            elif said != self._phase:
                self._display.note(f"{self._phase} …")
            said = self._phase
            if self.over.wait(0.5):
                break
        self._display.clear()


def _listen(event, *_, fun_name="", **__):
    for wait in _waits:
        if event == _LOWERED and fun_name == wait.program:
            wait.traced()


jax.monitoring.register_event_duration_secs_listener(_listen)
