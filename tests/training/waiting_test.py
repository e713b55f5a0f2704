"""A first call that takes its time says so; one that does not says nothing."""

import io
import time

import jax
import jax.numpy as jnp
import pytest

from gpsattn_jax.training import waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)


def compile_slowly():
    """Compiles something new, and takes a second with both phases."""

    @jax.jit
    def double(x):
        time.sleep(0.6)
        return 2 * x

    double(jnp.ones(3))
    time.sleep(0.6)


def test_elsewhere_there_is_a_line_for_each_phase():
    stream = io.StringIO()
    with waiting.announced("the training step", "double", stream):
        compile_slowly()
    first, second = stream.getvalue().splitlines()
    assert first == "Tracing the training step …"
    assert second.startswith("Compiling the training step (the first time about 0:0")


def test_a_terminal_has_one_line_that_goes():
    stream = Terminal()
    with waiting.announced("the training step", "double", stream):
        compile_slowly()
    drawn = stream.getvalue().split("\r")
    assert drawn[1] == "\x1b[KTracing the training step  0:00"
    assert drawn[-1] == "\x1b[K" and "\n" not in stream.getvalue()


def test_what_is_soon_over_says_nothing(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 30.0)
    stream = io.StringIO()
    with waiting.announced("the training step", "double", stream):
        compile_slowly()
    assert stream.getvalue() == "" and not waiting._waits


def test_an_error_goes_through():
    stream = io.StringIO()
    with pytest.raises(ValueError, match="no"), waiting.announced("it", "f", stream):
        raise ValueError("no")
    assert not waiting._waits
