"""Where a run's log goes beside its own files: TensorBoard, Weights & Biases."""

import contextlib
import importlib
import json
import os
import pathlib
import struct
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import jax

from gpsattn_jax.training.settings import flattened

FOLDER = "tensorboard"  # in a workdir
RUN_ID = "wandb_run_id.txt"  # likewise
PROJECT = "gpsattn_jax"  # of Weights & Biases, unless WANDB_PROJECT says another
INSTALL = {
    "tensorboardX": "pip install 'gpsattn-jax[tensorboard]'",
    "wandb": "pip install wandb",
}


class Tracker(Protocol):
    """What takes the lines of a log and pictures."""

    def write(self, lines: Sequence[Mapping[str, float]]) -> None:
        """Takes lines of the log, in order: `step` and the metrics by name."""

    def add_pictures(self, step: int, pictures: Mapping[str, pathlib.Path]) -> None:
        """Takes PNG files by their headings."""

    def close(self, failed: bool) -> None:
        """Ends the log."""


@contextlib.contextmanager
def open_trackers(
    names: Sequence[str],
    workdir: pathlib.Path,
    settings: Mapping[str, Any],
    *,
    part: str = "training",
) -> Iterator[list[Tracker]]:
    """Yields a run's trackers, and closes them; those of process 0 alone.

    Args:
        names: keys of `TRACKERS`.
        workdir: of the run.
        settings: of the run, nested dicts.
        part: of the run that is logged, a word. What was logged of this part before is
            written again, or left as it is, but never twice.

    Raises:
        ImportError: names the package that is missing, and how it is installed.
    """
    packages = {name: _load(TRACKERS[name].package) for name in names}
    if not names or jax.process_index() != 0:
        yield []
        return
    workdir.mkdir(parents=True, exist_ok=True)
    opened: list[Tracker] = []
    failed = True
    try:
        for name, package in packages.items():
            opened.append(TRACKERS[name](package, workdir, settings, part))
        yield opened
        failed = False
    finally:
        for tracker in opened:
            tracker.close(failed)


def _load(package):
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"log_to must name what is installed; {package} is not ({error}): "
            f"{INSTALL[package]}"
        ) from error


class TensorBoard:
    """An event file in `tensorboard/` for each part of a run.

    A run that goes on replaces its file, so that no step is there twice; what came
    before is written again from the run's own log.
    """

    package = "tensorboardX"

    def __init__(
        self,
        package: Any,
        workdir: pathlib.Path,
        settings: Mapping[str, Any],
        part: str,
    ):
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._proto = event_pb2.Event, summary_pb2
        folder = workdir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob(f"*.{part}"):
            earlier.unlink()
        prefix = str(folder / "events")
        self._writer = event_file_writer.EventsWriter(prefix, f".{part}")
        text = f"```json\n{json.dumps(settings, indent=2, default=str)}\n```"
        self._add(0, summary.text("settings", text))
        known = _plain(settings)
        best = {f"evaluation/{known.get('train.best_metric')}": 0.0}
        *begun, self._end = summary.hparams(known, best)  # compared in this metric
        for one in begun:
            self._add(0, one)

    def write(self, lines: Sequence[Mapping[str, float]]) -> None:
        value = self._proto.Summary.Value
        for line in lines:
            step, metrics = _parts(line)
            values = [value(tag=name, simple_value=v) for name, v in metrics.items()]
            self._add(step, self._proto.Summary(value=values))
        self._writer.flush()

    def add_pictures(self, step: int, pictures: Mapping[str, pathlib.Path]) -> None:
        for heading, path in pictures.items():
            content = path.read_bytes()
            width, height = struct.unpack(">II", content[16:24])  # of a PNG's header
            image = self._proto.Summary.Image(
                width=width, height=height, colorspace=4, encoded_image_string=content
            )
            value = self._proto.Summary.Value(tag=heading, image=image)
            self._add(step, self._proto.Summary(value=[value]))
        self._writer.flush()

    def close(self, failed: bool) -> None:
        if not failed:
            self._add(0, self._end)
        self._writer.close()

    def _add(self, step, summary):
        event = self._event(wall_time=time.time(), step=step, summary=summary)
        self._writer.write_event(event)


class WeightsAndBiases:
    """A run of Weights & Biases, which has its number in the workdir.

    A run that goes on writes what comes behind the last step that is there: W&B keeps
    what it has.
    """

    package = "wandb"

    def __init__(
        self,
        package: Any,
        workdir: pathlib.Path,
        settings: Mapping[str, Any],
        part: str,
    ):
        self._image = package.Image
        number = workdir / RUN_ID
        if not number.is_file():
            number.write_text(uuid.uuid4().hex)
        self._run = package.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=number.read_text().strip(),
            name=str(workdir),
            dir=str(workdir),
            config=dict(settings),
            job_type=part,
            resume="allow",
            allow_val_change=True,
        )
        self._first = self._run.step

    def write(self, lines: Sequence[Mapping[str, float]]) -> None:
        for step, metrics in map(_parts, lines):
            if step >= self._first:
                self._run.log(metrics, step=step)

    def add_pictures(self, step: int, pictures: Mapping[str, pathlib.Path]) -> None:
        images = {name: self._image(str(path)) for name, path in pictures.items()}
        self._run.log(images)  # behind the last step: what is before is closed

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


TRACKERS: dict[str, Any] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}


def _parts(line):
    """A line of the log -> (its step, its metrics)."""
    return int(line["step"]), {n: v for n, v in line.items() if n != "step"}


def _plain(settings):
    """Settings as TensorBoard compares runs by them: numbers, words, yes and no."""
    known = flattened(settings)
    return {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in known.items()
    }
