"""What a video file says of itself: times, sizes, rotation, rates (needs PyAV)."""

import dataclasses
import os
from fractions import Fraction

import av

from gpsattn_jax.data.videos.media import streams as video_streams
from gpsattn_jax.data.videos.media.clock import Clock, read_clock
from gpsattn_jax.data.videos.media.decoding import timed_frames

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
        frames = timed_frames(container, stream, clock)
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
    # Which of the two was meant follows from what is there.
    return min(relative, absolute, key=lambda promise: abs(promise - there))


def _square_size(stream, frame):
    """(width, height) of a stored frame once its pixels are square."""
    aspect = video_streams.pixel_aspect(stream)
    return max(1, round(frame.width * aspect)), frame.height
