"""How far a long task is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

WIDTH = 24  # characters of a full bar


class Display:
    """The one place that draws: a bar on a terminal, lines elsewhere.

    Args:
        stream: where to; standard error by default.
    """

    def __init__(self, stream: TextIO | None = None):
        self._stream = sys.stderr if stream is None else stream
        self.terminal = self._stream.isatty()
        self._open = False  # a bar stands on the last line

    def show(self, share: float, text: str) -> None:
        """Draws over the bar before, or prints a line.

        Args:
            share: what is done of the whole, in 0..1.
            text: stands behind the bar.
        """
        if self.terminal:
            full = round(WIDTH * min(max(share, 0.0), 1.0))
            text = f"\r\x1b[K[{'█' * full}{'·' * (WIDTH - full)}] {text}"
        print(text, end="" if self.terminal else "\n", file=self._stream, flush=True)
        self._open = self.terminal

    def note(self, text: str) -> None:
        """Prints a line of its own, which takes the place of the bar."""
        self.clear()
        print(text, file=self._stream, flush=True)

    def note_over(self, text: str) -> None:
        """Writes over the last such line on a terminal; use `note` elsewhere."""
        print(f"\r\x1b[K{text}", end="", file=self._stream, flush=True)
        self._open = True

    def clear(self) -> None:
        """Removes the bar; what comes next begins the line."""
        if self._open:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
        self._open = False


class ProgressBar:
    """Counts up to a total; use it in a `with` statement.

    Args:
        what: is done; begins the line.
        total: how much there is to do, of any unit.
        unit: follows the numbers, such as "s".
        every: seconds between two lines, where there is no terminal; what takes less
            prints nothing there.
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
        self._display = Display(stream)
        self._every = 0.1 if self._display.terminal else every
        self._start = self._last = time.monotonic()

    def __enter__(self) -> "ProgressBar":
        return self

    def update(self, done: float) -> None:
        """Shows how much is done, unless a moment ago it did so."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        share = min(done / self._total, 1.0)
        text = f"{self._what}: {done:,.0f} of {self._total:,.0f}"
        text += f" {self._unit}" if self._unit else ""
        if share > 0:
            left = (now - self._start) * (1 - share) / share
            text += f"  {clock(left)} left"
        self._display.show(share, text)

    def __exit__(self, *_: object) -> None:
        """Removes the bar."""
        self._display.clear()


def with_progress(
    items: Iterable[Any], total: int, what: str, every: float = 5.0
) -> Iterator[Any]:
    """Passes items on, and shows on standard error how many.

    Args:
        items: anything.
        total: how many of them there are.
        what: is done; begins the line.
        every: seconds between two lines, where there is no terminal.

    Yields:
        The items.
    """
    with ProgressBar(what, total, every=every) as bar:
        for done, item in enumerate(items, 1):
            yield item
            bar.update(done)


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 1:02:03; "?" for infinitely many."""
    if seconds == float("inf"):
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
