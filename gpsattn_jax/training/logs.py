"""Metrics on disk (JSONL and CSV) and progress on the terminal."""

import csv
import json
import math
import pathlib
import time
from collections.abc import Sequence
from typing import Any, TextIO, TypeGuard

import jax

from gpsattn_jax.files import replaced
from gpsattn_jax.progress import Display, clock
from gpsattn_jax.reader_errors import open_regular
from gpsattn_jax.training.trackers import Tracker


class MetricLog:
    """`metrics.jsonl` (a line for each call) and `metrics.csv` (step, metric, value).

    Args:
        workdir: where the files are.
        step: of the checkpoint that the run goes on from; later lines, which the run
            will write again, go.
        trackers: take all lines, too.
    """

    def __init__(
        self, workdir: pathlib.Path, step: int, trackers: Sequence[Tracker] = ()
    ):
        self._trackers = trackers
        self._jsonl, self._csv = workdir / "metrics.jsonl", workdir / "metrics.csv"
        lines, cut = _read(self._jsonl)
        if cut:
            aside = workdir / "metrics.jsonl.damaged"
            with aside.open("ab") as file:
                file.write(cut + b"\n")
            Display().note(f"{self._jsonl}: the last line, cut off, is in {aside}.")
        kept = [line for line in lines if line["step"] <= step]
        with replaced(self._jsonl) as jsonl, replaced(self._csv) as table:
            table.write_text("step,metric,value\n")
            _append(kept, jsonl, table)
        self._track(kept)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Appends the metrics of a step to both files; trackers get them, too."""
        line = {"step": step} | {name: float(value) for name, value in metrics.items()}
        _append([line], self._jsonl, self._csv)
        self._track([line])

    def _track(self, lines):
        for tracker in self._trackers:
            tracker.write(lines)


def _append(lines, jsonl, table):
    try:
        with jsonl.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        with table.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            for line in lines:
                pairs = ((name, v) for name, v in line.items() if name != "step")
                writer.writerows((line["step"], *pair) for pair in pairs)
    except OSError as error:  # which names no file when a write fails
        raise OSError(f"{jsonl}: the log could not be written: {error}") from error


def read_metrics(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; a last line cut short by a crash is left out.

    Raises:
        ValueError: names the line that is damaged, and the field.
    """
    path = pathlib.Path(workdir) / "metrics.jsonl"
    lines, cut = _read(path)
    if cut:
        Display().note(f"{path}: the last line, cut off, is left out.")
    return lines


def _read(path):
    """(the lines, the bytes of the last one where that is damaged)."""
    try:
        with open_regular(path, 2**30) as file:
            rows = file.read().split(b"\n")
    except FileNotFoundError:
        return [], b""
    except IsADirectoryError as error:
        raise ValueError(f"{path} must be a file; got a folder.") from error
    lines = []
    while rows and not rows[-1]:
        rows.pop()
    for number, row in enumerate(rows, 1):
        try:
            lines.append(_checked(row))
        except (ValueError, RecursionError) as error:
            if number == len(rows):  # cut off by a kill or a full disk
                return lines, row
            raise ValueError(
                f"{path}, line {number}: {error}. Take the line out; the curves and "
                "the log go on without it."
            ) from error
    return lines, b""


def _checked(row):
    """A line's content."""
    try:
        line = json.loads(row)
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"must be JSON: {str(error):.80}") from error
    if not isinstance(line, dict):
        raise ValueError(f"must be an object; got {_short(line)}")
    step = line.get("step")
    if not is_number(step) or step != int(step) or step < 0:
        raise ValueError(f"step must be a whole number; got {_short(step)}")
    for name, value in line.items():
        if not is_number(value):
            raise ValueError(f"{name:.40} must be a number; got {_short(value)}")
    return line


def _short(value):
    """A value of JSON for a message."""
    text = type(value).__name__ if isinstance(value, dict | list) else repr(value)
    return text[:40]


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of JSON is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 2**1023 and math.isfinite(value)


class Progress:
    """Where a run stands, and its pace: a bar on a terminal, lines elsewhere.

    Args:
        total: steps of the whole run.
        done: steps done before.
        examples: examples of a step.
        stream: where to; standard error by default.
    """

    def __init__(
        self, total: int, done: int, examples: int, stream: TextIO | None = None
    ):
        self._total, self._first, self._examples = total, done, examples
        self._display = Display(stream)
        self._start = time.monotonic()
        self._counts, self._rate = False, 0.0

    def step_done(self, step: int) -> None:
        """The pace counts from the first step that is done (it was compiled) on."""
        if not self._counts:
            self._counts, self._first, self._start = True, step, time.monotonic()

    def interrupted(self) -> None:
        """Something else than steps took time: the pace counts anew."""
        self._counts = False

    def examples_per_second(self, step: int) -> float:
        """Examples a second since the steps began; the last known pace before that."""
        if self._counts and step > self._first:
            seconds = max(time.monotonic() - self._start, 1e-9)
            self._rate = (step - self._first) * self._examples / seconds
        return self._rate

    def report(self, step: int, metrics: dict[str, float]) -> None:
        """Shows where the run stands: loss, metrics, examples/s, time left."""
        rate = self.examples_per_second(step)
        left = (self._total - step) * self._examples / rate if rate else float("inf")
        values = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        pace = f"{rate:.0f} examples/s  {clock(left)} left"
        text = f"step {step}/{self._total}  {values}  {pace}"
        self._display.show(step / self._total, text)

    def note(self, text: str) -> None:
        """A line of its own, in the place of the bar."""
        self._display.note(text)


class Profile:
    """A trace of some steps, for TensorBoard or Perfetto.

    Args:
        folder: where to.
        steps: which; none if empty.
    """

    def __init__(self, folder: pathlib.Path, steps: range):
        self._folder, self._steps, self._running = folder, steps, False

    def before(self, step: int) -> None:
        """Starts or ends the trace, if this is the step for it."""
        if step == self._steps.stop:
            self.close()
        if step == self._steps.start and self._steps:
            jax.profiler.start_trace(str(self._folder))
            self._running = True

    def close(self) -> None:
        """Ends and writes the trace, if one is running."""
        if self._running:
            jax.profiler.stop_trace()
            self._running = False
