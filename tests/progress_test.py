"""The bar grows on a terminal and goes; elsewhere there are lines, or nothing."""

import io

import pytest

from gpsattn_jax import progress
from gpsattn_jax.progress import ProgressBar, clock, with_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def ticking(monkeypatch):
    """Each look at the clock is 3 s after the one before."""
    ticks = iter(range(0, 300, 3))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))


def test_a_terminal_has_one_line_that_goes():
    stream = Terminal()
    with ProgressBar("features", 4, stream=stream) as bar:
        bar.update(1)
        bar.update(4)
    drawn = stream.getvalue().split("\r")
    first, last = f"\x1b[K[{'█' * 6}{'·' * 18}]", f"\x1b[K[{'█' * 24}]"
    assert drawn[1] == f"{first} features: 1 of 4  0:09 left"
    assert drawn[2] == f"{last} features: 4 of 4  0:00 left"
    assert drawn[-1] == "\x1b[K" and "\n" not in stream.getvalue()


def test_elsewhere_there_is_a_line_now_and_then():
    stream = io.StringIO()
    with ProgressBar("writing", 8.0, "s", stream=stream) as bar:
        for done in (1, 2, 4):  # after 3, 6 and 9 seconds
            bar.update(done)
    assert stream.getvalue() == "writing: 2 of 8 s  0:18 left\n"


def test_items_are_passed_on_and_counted(capsys):
    assert list(with_progress("abc", 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == "letters: 2 of 3  0:03 left\n"


def test_clock():
    assert [clock(7), clock(754), clock(3723), clock(float("inf"))] == [
        "0:07",
        "12:34",
        "1:02:03",
        "?",
    ]
