"""How far a long task is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import TextIO

WIDTH = 24  # characters of a full bar


class ProgressBar:
    """A bar to be told how much is done; use it in a `with` statement.

    Args:
        what: is done; begins the line.
        total: how much there is to do, of any unit.
        unit: follows the numbers, such as "s".
        every: seconds between two lines, where there is no terminal; what takes less
            is not shown there.
        stream: where to; standard error by default.
    """

    def __init__(
        self,
        what: str,
        total: float,
        unit: str = "",
        *,
        every: float = 5.0,
        stream: TextIO | None = None,
    ):
        self._what, self._total, self._unit = what, max(total, 1e-9), unit
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._every = 0.1 if self._terminal else every
        self._begun = self._last = time.monotonic()
        self._shown = False

    def __enter__(self) -> "ProgressBar":
        return self

    def update(self, done: float) -> None:
        """Shows it, unless it was shown a moment ago."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last, self._shown = now, True
        share = min(done / self._total, 1.0)
        text = f"{self._what}: {done:,.0f} of {self._total:,.0f}"
        text += f" {self._unit}" if self._unit else ""
        if share > 0:
            left = (now - self._begun) * (1 - share) / share
            text += f", {left:,.0f} s left"
        if self._terminal:
            full = round(WIDTH * share)
            bar = f"[{'#' * full}{'.' * (WIDTH - full)}]"
            print(f"\r{bar} {text}\x1b[K", end="", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)

    def __exit__(self, *_: object) -> None:
        """Clears the bar; what comes next begins the line."""
        if self._terminal and self._shown:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
