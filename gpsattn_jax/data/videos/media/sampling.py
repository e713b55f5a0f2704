"""Video files -> upright RGB frames, sampled by time (needs PyAV)."""

import dataclasses
import math
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from gpsattn_jax.data.videos.media import streams as video_streams
from gpsattn_jax.data.videos.media.clock import Clock, read_clock
from gpsattn_jax.data.videos.media.conversion import Converter

LONGEST = 48 * 3600  # seconds of a video; damaged times may claim years

# Their header may name the time of the end instead of the length.
_ENDS = {"matroska", "webm", "flv"}


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a file says of its picture, and what its first frame shows.

    Attributes:
        path: the file.
        duration: seconds of picture.
        frame_rate: frames a second, on average.
        width: pixels across, as displayed: upright, pixels being square.
        height: pixels down, as displayed.
        rotation: degrees counterclockwise that turn the stored frames upright: 0, 90,
            180 or 270.
        has_audio: whether there is a sound track that can be decoded.
        start: seconds at which the first frame begins to show, as a player counts them:
            0:00 is where the file begins, and its sound may begin before its picture.
        clock: how the file's timestamps become such seconds; all times of this package
            are such.
        zero: seconds on the file's clock that are 0:00.
    """

    path: str
    duration: float
    frame_rate: Fraction
    width: int
    height: int
    rotation: int
    has_audio: bool
    start: float
    clock: Clock
    zero: float

    @property
    def end(self) -> float:
        """Seconds at which the last frame ends, by the header."""
        return self.start + self.duration


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One sampled frame.

    Attributes:
        image: [H, W, 3] uint8, RGB, upright.
        time: seconds at which it begins to show, as a player counts them.
        index: place among all frames of the video, from 0.
        sampled_at: seconds, the time that was asked for: at least `time`.
    """

    image: np.ndarray
    time: float
    index: int
    sampled_at: float


def probe(path: str | os.PathLike) -> VideoInfo:
    """Reads a file's header and its first frame.

    Raises:
        FileNotFoundError, OSError: if there is no such file, or it may not be read.
        ValueError: `PATH: not a readable video: why`.
    """
    name = os.fspath(path)
    clock = read_clock(name)
    with video_streams.open_video(name) as container:
        stream = video_streams.picture_stream(container, name)
        frames = video_streams.timed_frames(container, stream, clock)
        frame, first = next(frames, (None, 0.0))
        _check_frame(name, frame)
        assert frame is not None  # as was just checked
        rotation = round(frame.rotation / 90) % 4 * 90
        width, height = _square_size(stream, frame)
        if rotation in (90, 270):
            width, height = height, width
        zero = first if clock.zero is None else min(clock.zero, first)
        duration = _duration(container, stream, clock, first)
        if duration > LONGEST:
            raise ValueError(
                f"{name}: not a readable video: its times span {duration / 3600:,.1f} "
                f"h; at most {LONGEST // 3600} h are read."
            )
        return VideoInfo(
            path=name,
            duration=duration,
            frame_rate=video_streams.frame_rate(stream),
            width=width,
            height=height,
            rotation=rotation,
            has_audio=bool(video_streams.sound_streams(container)),
            start=first - zero,
            clock=clock,
            zero=zero,
        )


def _check_frame(name, frame):
    if frame is None:
        raise ValueError(f"{name}: not a readable video: no frame can be decoded.")
    if frame.pts is None and frame.dts is None:
        raise ValueError(
            f"{name}: not a readable video: its frames bear no times; put the bare "
            "stream into a container such as mp4 first."
        )


def _duration(container, stream, clock, first):
    """Seconds of picture that the header promises, or else those that are there."""
    there = None if clock.end is None else clock.end - first
    if clock.restarts:
        return there
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if not container.duration:
        return 0.0 if there is None else there
    begin = (container.start_time or 0) / av.time_base
    length = container.duration / av.time_base
    relative = max(0.0, begin + length - first)
    absolute = length - first
    formats = {*container.format.name.split(",")}
    if there is None or begin < 1 or absolute < 0 or not formats & _ENDS:
        return relative
    # Which of the two was meant is seen by what is there.
    return min(relative, absolute, key=lambda promise: abs(promise - there))


class SampledFrames:
    """The frames at s, s + 1/r, s + 2/r … seconds, and what is known after the last.

    s is `info.start`, where the picture begins. Each pass decodes the file once more.
    Only one decoded frame is kept.

    Attributes:
        info: the file's `VideoInfo`.
        expected: how many frames will come, if the file keeps its header's promise.
        n_frames: how many frames the whole video has; 0 before the end of a pass.
        duration: seconds of picture that were decoded; 0 before the end of a pass.
        problem: what was wrong with the file, a sentence naming it; empty if nothing.
    """

    def __init__(
        self, path: str | os.PathLike, per_second: float, shorter_side: int | None
    ):
        if not (per_second > 0 and math.isfinite(per_second)):
            raise ValueError(f"per_second must be above 0; got {per_second}.")
        if shorter_side is not None and shorter_side < 1:
            raise ValueError(f"shorter_side must be at least 1; got {shorter_side}.")
        self.info = probe(path)
        self.per_second = per_second
        self.size = _size(self.info, shorter_side)
        self.expected = max(1, math.ceil(self.info.duration * per_second - 1e-6))
        self.n_frames, self.duration, self.problem = 0, 0.0, ""

    def __iter__(self) -> Iterator[Frame]:
        convert = Converter(self.size, self.info.rotation, "rgb24")
        damage, start = video_streams.Damage(), self.info.start
        index, until, at, sample = -1, start, start, 0
        with video_streams.open_video(self.info.path) as container:
            spans = self._spans(container, damage)
            for index, (frame, time, until) in enumerate(spans):
                self._check_times(until)
                image = None
                while at < until - video_streams.SLACK:
                    if image is None:
                        image = convert(frame).to_ndarray()
                    yield Frame(image, time, index, max(at, time))
                    sample += 1
                    at = start + sample / self.per_second
        self.n_frames, self.duration = index + 1, until - start
        self.problem = self._find_problem(damage)
        if self.problem:
            warnings.warn(self.problem, stacklevel=2)

    def _check_times(self, until):
        if until - self.info.start > LONGEST:
            raise ValueError(
                f"{self.info.path}: not a readable video: a frame ends at "
                f"{until / 3600:,.1f} h; at most {LONGEST // 3600} h are read."
            )

    def _spans(self, container: Any, damage: Any) -> Iterator[tuple[Any, float, float]]:
        info = self.info
        stream = video_streams.picture_stream(container, info.path)
        frames = video_streams.timed_frames(container, stream, info.clock, damage)
        return video_streams.spans(frames, info.zero, info.frame_rate)

    def _find_problem(self, damage):
        """What is wrong with the file, once all of it was decoded."""
        promise, found = self.info.duration, self.duration
        problems = []
        if promise - found > max(1.0, 0.02 * promise):
            problems.append(
                f"only {found:.1f} of {promise:.1f} s can be decoded; the file seems "
                "to be cut off"
            )
        if damage.packets:
            problems.append(f"{damage.packets} damaged pieces were passed over")
        return f"{self.info.path}: {', and '.join(problems)}." if problems else ""


def sampled_frames(
    path: str | os.PathLike,
    per_second: float = 2.0,
    *,
    shorter_side: int | None = None,
) -> SampledFrames:
    """Samples a video by time, whatever its frame rate, also a varying one.

    For each k / per_second after the picture's beginning, the frame that is shown then;
    one that is shown for long comes several times, its image being the same array. A
    video of a single frame gives one at least. What can be decoded of a file that is
    cut off or damaged is given, and at the end a warning says how much was lost.

    Args:
        path: the file.
        per_second: how many frames a second.
        shorter_side: scale frames down so that their shorter side has so many pixels;
            smaller frames stay as they are.

    Returns:
        An iterable of `Frame`, to be asked for `expected` before and for `n_frames`
        and `problem` after.

    Raises:
        FileNotFoundError, OSError: if there is no such file, or it may not be read.
        ValueError: `PATH: not a readable video: why`, or a wrong argument.
    """
    return SampledFrames(path, per_second, shorter_side)


def _square_size(stream, frame):
    """(width, height) of a stored frame once its pixels are square."""
    aspect = video_streams.pixel_aspect(stream)
    return max(1, round(frame.width * aspect)), frame.height


def _size(info, shorter_side):
    """(width, height) of the frames to give out."""
    shorter = min(info.width, info.height)
    scale = min(1.0, shorter_side / shorter) if shorter_side else 1.0
    return tuple(max(1, round(side * scale)) for side in (info.width, info.height))
