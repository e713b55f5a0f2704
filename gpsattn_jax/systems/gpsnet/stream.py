"""Actions recognised while joints come in: windows that slide over a long sequence."""

import collections
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import numpy as np

from gpsattn_jax.configs import Checked, Count, above, within
from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.data.skeletons.stream import (
    Frame,
    check_pace,
    clip_frames,
    line_frames,
    window_clip,
)
from gpsattn_jax.systems.gpsnet.run import probabilities
from gpsattn_jax.systems.gpsnet.windows import LEAST, TINY, windows
from gpsattn_jax.systems.run_files import TrainedRun

STANDARD_INPUT = "-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """How a sequence is cut, and what is named.

    Attributes:
        fps: frames in a second, where none has a time.
        window: seconds that are recognised at once.
        every: seconds from one window to the next.
        smooth: so many windows' probabilities are averaged.
        threshold: no action is named whose probability is below.
    """

    fps: Annotated[float, above(0)] = 30.0
    window: Annotated[float, above(0)] = 2.0
    every: Annotated[float, above(0)] = 0.5
    smooth: Count = 1
    threshold: Annotated[float, within("[0, 1]")] = 0.0

    def check_together(self) -> None:
        """A window must hold a motion."""
        if self.window * self.fps < 2 - TINY:
            least = f"{2 / self.fps:g} s at fps={self.fps:g}"
            self.refuse("window", f"hold at least 2 frames, {least}")


@dataclasses.dataclass(frozen=True)
class Recognition:
    """What a window shows.

    Attributes:
        time: seconds, where the window ends.
        label: the action; None below the threshold, or where nobody is visible.
        confidence: the probability of the likeliest action; 0 where nobody is visible.
        latency: seconds that recognition took.
    """

    time: float
    label: str | None
    confidence: float
    latency: float


def print_stream(
    run: TrainedRun,
    clip: str | os.PathLike,
    config: Config,
    *,
    as_json: bool = False,
) -> None:
    """Prints a line for each window as soon as its last frame is there.

    A last line, on standard error, has their number and how long one took.

    Args:
        run: a trained network.
        clip: a file that `data.skeletons.clip_folder.read_clip` reads, or "-": JSON
            lines on standard input, see `data.skeletons.stream.line_frames`.
        config: how the sequence is cut.
        as_json: JSON lines with time, label (or null) and confidence.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file or the line that is no clip of the network's joints.
    """
    layout, reading = run.facts["layout"], run.config.data.reading
    if clip == STANDARD_INPUT:
        channels, lines = run.config.model.in_channels, sys.stdin.buffer
        frames = line_frames(lines, layout, channels, config.fps, reading=reading)
        frames = check_pace(frames, config.window, "standard input")
    else:
        frames = clip_frames(clip, layout, config.fps, reading)
    latencies: collections.deque[float] = collections.deque(maxlen=1000)
    count, width = 0, max(map(len, run.class_names))
    try:
        for found in recognize(run, frames, config):
            latencies.append(found.latency)
            count += 1
            print(_line(found, width, as_json), flush=True)
        if not count:
            least = f"{LEAST * config.window:g} s"
            print(f"No window: the sequence is shorter than {least}.", file=sys.stderr)
    finally:
        if count:
            middle = 1000 * statistics.median(latencies)
            windows_done = f"{count} window{'s' * (count > 1)}"
            print(f"{windows_done}; {middle:.1f} ms each (median).", file=sys.stderr)


def recognize(
    run: TrainedRun, frames: Iterable[Frame], config: Config
) -> Iterator[Recognition]:
    """What each window shows, as soon as its last frame is there.

    The network is compiled before the first frame is asked for; and again, once, when a
    frame shows more persons than any before. No more than a window's frames are kept.

    Args:
        run: a trained network.
        frames: any number of (seconds, joints [M, V, C]), in order of time; NaN where a
            joint is missing. M may vary.
        config: how the sequence is cut.
    """
    persons = 1
    shape = run.facts["layout"].num_joints, run.config.model.in_channels
    _probabilities(run, [np.ones((1, *shape))])
    recent: collections.deque[np.ndarray] = collections.deque(maxlen=config.smooth)
    for end, window in windows(frames, config.window, config.every):
        started = time.perf_counter()
        # One shape for all: absent persons change no probability.
        persons = max(persons, *map(len, window))
        window[0] = _with_absent(window[0], persons)
        found = _probabilities(run, window)
        if found is None:
            recent.clear()
            yield Recognition(end, None, 0.0, time.perf_counter() - started)
            continue
        recent.append(found)
        shares = np.mean(recent, axis=0)
        best = int(shares.argmax())
        confidence = float(shares[best])
        named = confidence >= config.threshold
        label = run.class_names[best] if named else None
        yield Recognition(end, label, confidence, time.perf_counter() - started)


def _probabilities(run, frames):
    """[classes]; None if nobody is visible."""
    clip = window_clip("stream", frames, run.facts["layout"])
    if clip is None:
        return None
    if run.config.data.missing == "interpolate":
        clip = interpolated(clip)
    return probabilities(run, clip)[0]


def _with_absent(frame, persons):
    """A frame with absent persons, so that there are so many."""
    absent = np.full((persons - len(frame), *frame.shape[1:]), np.nan)
    return np.concatenate([frame, absent])


def _line(found, width, as_json):
    if as_json:
        fields = {
            "time": round(found.time, 3),
            "label": found.label,
            "confidence": round(found.confidence, 4),
        }
        return json.dumps(fields)
    name = "-" if found.label is None else found.label
    return f"{found.time:8.1f} s  {name:<{width}}  {100 * found.confidence:5.1f} %"
