"""Losses, optimizer, logs and interrupts, each by itself."""

import io
import json
import os
import signal
import time

import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.interrupts import interruptible
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.interrupts import Interrupts
from gpsattn_jax.training.logs import MetricLog, Progress, read_metrics
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.optimizers import decay_mask, learning_rate_schedule


def test_cross_entropy_agrees_with_its_definition():
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 0.5, 0.0]], np.float32)
    labels = np.array([0, 2])
    value, metrics = cross_entropy(0.3)(jnp.asarray(logits), {"label": labels})
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    target = 0.7 * np.eye(3)[labels] + 0.1
    np.testing.assert_allclose(value, -(target * log_p).sum(-1).mean(), rtol=1e-6)
    assert metrics["accuracy"] == 0.5


def test_schedule_rises_and_falls():
    config = TrainConfig(num_steps=100, warmup_steps=10, learning_rate=0.2)
    rate = learning_rate_schedule(config)
    np.testing.assert_allclose([rate(0), rate(5), rate(10)], [0, 0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(rate(55), 0.1, rtol=1e-5)
    np.testing.assert_allclose(rate(100), 0, atol=1e-8)


def test_a_run_shorter_than_its_warm_up_has_a_schedule():
    rate = learning_rate_schedule(TrainConfig(num_steps=2, warmup_steps=100))
    assert np.isfinite([rate(0), rate(1), rate(2)]).all()


def test_only_kernels_are_decayed():
    params = {"blocks": {0: {"kernel": 1, "bias": 1}}, "row_table": 1, "scale": 1}
    expected = {
        "blocks": {0: {"kernel": True, "bias": False}},
        "row_table": False,
        "scale": False,
    }
    assert decay_mask(params, "kernels") == expected


def test_log_drops_what_a_resumed_run_writes_again(tmp_path):
    log = MetricLog(tmp_path, 0)
    for step in (1, 2, 3):
        log.write(step, {"loss": step / 2})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # a crash in the middle of a line
    MetricLog(tmp_path, 2).write(3, {"loss": 9.0})
    assert [line["loss"] for line in read_metrics(tmp_path)] == [0.5, 1.0, 9.0]
    assert (tmp_path / "metrics.csv").read_text().splitlines()[-1] == "3,loss,9.0"
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(stream):
    progress = Progress(10, 0, 4, stream)
    progress.report(5, {"loss": 1.25})
    progress.report(10, {"loss": 0.5})
    text = stream.getvalue()
    assert "step 5/10  loss 1.25" in text
    assert "examples/s" in text and "left" in text
    assert ("█" in text) == stream.isatty()
    assert text.count("\n") == (0 if stream.isatty() else 2)


def test_the_pace_leaves_out_the_first_step(monkeypatch):
    now = iter([0.0, 60.0, 62.0])  # start, first step with its compilation, fifth step
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    progress = Progress(10, 0, 4, io.StringIO())
    assert progress.examples_per_second(1) == 0
    progress.step_done(1)
    progress.step_done(2)
    assert progress.examples_per_second(5) == 4 * 4 / 2
    progress.interrupted()
    assert progress.examples_per_second(6) == 8  # as before, until a step is done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_asks_and_a_later_one_has_its_usual_effect(number, monkeypatch):
    now, before = [100.0], signal.getsignal(number)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    usual = []
    signal.signal(number, lambda *_: usual.append(number))
    try:
        with Interrupts() as interrupts:
            for seconds in (0, 0.02, 0.9):  # fingers press twice
                now[0] = 100 + seconds
                os.kill(os.getpid(), number)
                assert interrupts.requested and not usual
            now[0] = 101.5
            os.kill(os.getpid(), number)
            assert usual == [number]
            os.kill(os.getpid(), number)
            assert usual == [number] * 2
    finally:
        signal.signal(number, before)


@pytest.fixture
def usual_interrupts():
    earlier = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.mark.usefixtures("usual_interrupts")
def test_an_interrupt_that_python_drops_comes_again():
    """As one does that is raised in a destructor."""

    class Dropped:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), interruptible("Interrupted."):
        one = Dropped()
        del one
        time.sleep(1)
        pytest.fail("The interrupt is lost.")


def test_a_double_press_is_one_interrupt():
    caught = 0
    with interruptible("Interrupted."):
        for _ in range(2):
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.02)
            except KeyboardInterrupt:
                caught += 1
    assert caught == 1
