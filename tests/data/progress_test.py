"""The bar grows on a terminal and goes; elsewhere there are lines, or nothing."""

import io

import pytest

from gpsattn_jax.data import progress_bar
from gpsattn_jax.data.progress_bar import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Each look at the clock is 3 s after the one before."""
    ticks = iter(range(0, 300, 3))
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: next(ticks))


def test_a_terminal_has_one_line_that_goes():
    stream = Terminal()
    with ProgressBar("features", 4, stream=stream) as bar:
        bar.update(1)
        bar.update(4)
    shown = stream.getvalue().split("\r")
    assert shown[1].startswith(f"[{'#' * 6}{'.' * 18}] features: 1 of 4, 9 s left")
    assert shown[2].startswith(f"[{'#' * 24}] features: 4 of 4, 0 s left")
    assert shown[-1] == "\x1b[K" and "\n" not in stream.getvalue()


def test_elsewhere_there_is_a_line_now_and_then():
    stream = io.StringIO()
    with ProgressBar("writing", 8.0, "s", stream=stream) as bar:
        for done in (1, 2, 4):  # after 3, 6 and 9 seconds
            bar.update(done)
    assert stream.getvalue() == "writing: 2 of 8 s, 18 s left\n"
