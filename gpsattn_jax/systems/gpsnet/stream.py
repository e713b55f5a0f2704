"""Actions recognised while joints come in: windows that slide over a long sequence."""

import collections
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator

import numpy as np

from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.data.skeletons.stream import (
    Frame,
    check_pace,
    clip_frames,
    line_frames,
    window_clip,
)
from gpsattn_jax.systems.gpsnet.run import Recognizer

STANDARD_INPUT = "-"
LEAST = 0.25  # of a window must be there
TINY = 1e-6  # seconds; times are sums of fractions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """How a sequence is cut and told.

    Attributes:
        fps: frames in a second, where no times are told.
        window: seconds that are recognised at once.
        every: seconds from one window to the next.
        smooth: so many windows' probabilities are averaged.
        threshold: no action is named whose probability is below.
    """

    fps: float = 30.0
    window: float = 2.0
    every: float = 0.5
    smooth: int = 1
    threshold: float = 0.0

    def __post_init__(self) -> None:
        """Rejects what is out of range."""
        for name in ("fps", "window", "every"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)}.")
        if self.window * self.fps < 2 - TINY:
            raise ValueError(
                f"window must hold at least 2 frames, {2 / self.fps:g} s at "
                f"fps={self.fps:g}; got {self.window}."
            )
        if self.smooth < 1:
            raise ValueError(f"smooth must be at least 1; got {self.smooth}.")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be in [0, 1]; got {self.threshold}.")


@dataclasses.dataclass(frozen=True)
class Told:
    """What a window shows.

    Attributes:
        time: seconds, where the window ends.
        label: the action; None below the threshold, or where nobody is seen.
        confidence: the probability of the likeliest action; 0 where nobody is seen.
        latency: seconds that recognition took.
    """

    time: float
    label: str | None
    confidence: float
    latency: float


def print_stream(
    recognizer: Recognizer,
    clip: str | os.PathLike,
    config: Config,
    *,
    as_json: bool = False,
) -> None:
    """Prints a line for each window as soon as its last frame is there.

    A last line, on standard error, tells how many there were and how long one took.

    Args:
        recognizer: a trained network.
        clip: a file that `clip_folder.read_clip` reads, or "-": JSON lines on standard
            input, see `data.skeletons.stream.line_frames`.
        config: how the sequence is cut.
        as_json: JSON lines with time, label (or null) and confidence.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file or the line that is no clip of the network's joints.
    """
    layout, reading = recognizer.layout, recognizer.config.data.reading
    if clip == STANDARD_INPUT:
        channels = recognizer.config.model.in_channels
        frames = line_frames(
            sys.stdin.buffer, layout, channels, config.fps, reading=reading
        )
        frames = check_pace(frames, config.window, "standard input")
    else:
        frames = clip_frames(clip, layout, config.fps, reading)
    latencies: collections.deque[float] = collections.deque(maxlen=1000)
    count, width = 0, max(map(len, recognizer.class_names))
    try:
        for told in recognize(recognizer, frames, config):
            latencies.append(told.latency)
            count += 1
            print(_line(told, width, as_json), flush=True)
        if not count:
            least = f"{LEAST * config.window:g} s"
            print(f"No window: the sequence is shorter than {least}.", file=sys.stderr)
    finally:
        if count:
            middle = 1000 * statistics.median(latencies)
            told_of = f"{count} window{'s' * (count > 1)}; {middle:.1f} ms each"
            print(f"{told_of} (median).", file=sys.stderr)


def recognize(
    recognizer: Recognizer, frames: Iterable[Frame], config: Config
) -> Iterator[Told]:
    """What each window shows, as soon as its last frame is there.

    The network is compiled before the first frame is asked for; and again, once, when a
    frame shows more persons than any before. No more than a window's frames are kept.

    Args:
        recognizer: a trained network.
        frames: any number of (seconds, joints [M, V, C]), in order of time; NaN where a
            joint is missing. M may vary.
        config: how the sequence is cut.
    """
    persons = 1
    shape = recognizer.layout.num_joints, recognizer.config.model.in_channels
    _probabilities(recognizer, [np.ones((1, *shape))])
    recent: collections.deque[np.ndarray] = collections.deque(maxlen=config.smooth)
    for end, window in windows(frames, config.window, config.every):
        started = time.perf_counter()
        # One shape for all: absent persons change no probability.
        persons = max(persons, *map(len, window))
        window[0] = _filled(window[0], persons)
        found = _probabilities(recognizer, window)
        if found is None:
            recent.clear()
            yield Told(end, None, 0.0, time.perf_counter() - started)
            continue
        recent.append(found)
        shares = np.mean(recent, axis=0)
        best = int(shares.argmax())
        confidence = float(shares[best])
        named = confidence >= config.threshold
        label = recognizer.class_names[best] if named else None
        yield Told(end, label, confidence, time.perf_counter() - started)


def windows(
    frames: Iterable[Frame], window: float, every: float
) -> Iterator[tuple[float, list[np.ndarray]]]:
    """(end in seconds, frames) of each window that is at least a quarter full.

    The first one begins with the first frame, the next `every` seconds later. What is
    left at the end makes one more, shorter one. Within a window, frames count as evenly
    spaced.

    Args:
        frames: (seconds, joints) in order of time.
        window: seconds.
        every: seconds.
    """
    kept: collections.deque[Frame] = collections.deque()
    first, count, done, end = None, 0, -np.inf, np.inf
    for now, joints in frames:
        if first is None:
            first, end = now, now + window
        while now > end - TINY:
            if _length(kept) > LEAST * window - TINY:
                yield end, [frame for _, frame in kept]
            done, count = end, count + 1
            end = first + window + count * every
            _drop(kept, end - window)
            if not kept and now > end - TINY:  # a pause, however long
                count = int((now - first - window + TINY) // every) + 1
                end = first + window + count * every
        if now > end - window - TINY:
            kept.append((now, joints))
    if kept and kept[-1][0] > done - TINY and _length(kept) > LEAST * window - TINY:
        yield min(end, kept[0][0] + _length(kept)), [frame for _, frame in kept]


def _length(kept):
    """Seconds that frames last: one more than there are steps between them."""
    if len(kept) < 2:
        return 0.0
    return (kept[-1][0] - kept[0][0]) * len(kept) / (len(kept) - 1)


def _drop(kept, start):
    while kept and kept[0][0] < start - TINY:
        kept.popleft()


def _probabilities(recognizer, frames):
    """[classes]; None if nobody is seen."""
    clip = window_clip("stream", frames, recognizer.layout)
    if clip is None:
        return None
    if recognizer.config.data.missing == "interpolate":
        clip = interpolated(clip)
    return recognizer.probabilities(clip)[0]


def _filled(frame, persons):
    """A frame with absent persons, so that there are so many."""
    absent = np.full((persons - len(frame), *frame.shape[1:]), np.nan)
    return np.concatenate([frame, absent])


def _line(told, width, as_json):
    if as_json:
        fields = {
            "time": round(told.time, 3),
            "label": told.label,
            "confidence": round(told.confidence, 4),
        }
        return json.dumps(fields)
    name = "-" if told.label is None else told.label
    return f"{told.time:8.1f} s  {name:<{width}}  {100 * told.confidence:5.1f} %"
