"""The frames of a stream in order of time, from any second on (needs PyAV)."""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from gpsattn_jax.data.videos.media import streams as video_streams
from gpsattn_jax.data.videos.media.clock import Clock

SLACK = 0.001  # seconds; some formats round their timestamps to as much


@dataclasses.dataclass
class Damage:
    """How many packets could not be decoded."""

    packets: int = 0


def timed_frames(
    container: Any,
    stream: Any,
    clock: Clock,
    damage: Damage | None = None,
    *,
    skip: int = 0,
) -> Iterator[tuple[Any, float]]:
    """Decodes onwards: (frame, seconds on the file's clock), in order of time.

    Damaged packets are counted and passed over. Times that are missing or go
    backwards are put right by the frame rate or the number of samples.

    Args:
        container: to read from; at its beginning if its clock restarts.
        stream: of it.
        clock: of the file.
        damage: counts what could not be decoded.
        skip: packets at the beginning that are not decoded.
    """
    time, step = None, 0.0
    for frame in _decode(container, stream, clock, damage or Damage(), skip):
        stamp = frame.dts if frame.pts is None else frame.pts
        stated = None if stamp is None else float(stamp * frame.time_base)
        if stated is None or (time is not None and stated <= time):
            stated = 0.0 if time is None else time + step
        time = stated
        step = _length(frame, stream)
        yield frame, time


def frames_from(
    container: Any,
    stream: Any,
    clock: Clock,
    start: float,
) -> Iterator[tuple[Any, float]]:
    """As `timed_frames`, beginning at `start` seconds or somewhat before it.

    Args:
        container: to read from.
        stream: of it.
        clock: of the file.
        start: seconds on the file's clock.
    """
    if clock.restarts:  # a seek goes by the file's own clock, and ends anywhere
        yield from _frames_counted(container.name, stream.index, clock, start)
        return
    for back in (0.0, 5.0, None):
        target = 0.0 if back is None else max(0.0, start - back)
        try:
            container.seek(int(target / stream.time_base), stream=stream)
        except av.FFmpegError:
            if back is None:
                raise
            continue
        frames = timed_frames(container, stream, clock)
        first = next(frames, None)
        # An index may point behind the time asked for; then begin earlier.
        if first is not None and (first[1] <= start + SLACK or back is None):
            yield first
            yield from frames
            return


def spans(
    frames: Iterator[tuple[Any, float]], zero: float, rate: Fraction
) -> Iterator[tuple[Any, float, float]]:
    """(frame, from, until), seconds after `zero`; each ends where the next begins.

    Args:
        frames: of `timed_frames`.
        zero: seconds on the file's clock.
        rate: frames a second; the last one's length, if it has none of its own.
    """
    held = None
    for frame, time in frames:
        if held is not None:
            yield *held, time - zero
        held = frame, time - zero
    if held is not None:
        frame, time = held
        own = frame.duration * frame.time_base if frame.duration else 1 / rate
        yield frame, time, time + float(own)


def _frames_counted(name, index, clock, start):
    """The frames from the key frame before `start`, found by counting packets."""
    with video_streams.open_video(name.removeprefix("file:")) as container:
        stream = container.streams[index]
        if stream.type == "video":
            stream.thread_type = "AUTO"
        skip = clock.key_before(index, start)
        yield from timed_frames(container, stream, clock, skip=skip)


def _decode(container, stream, clock, damage, skip):
    packets, number = container.demux(stream), -1
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the rest of the file is lost
            damage.packets += 1
            return
        if packet is None:
            return
        number += packet.size > 0
        if packet.size and number < skip:
            continue
        if clock.restarts:
            _move(packet, clock.shift(stream.index, number))
        try:
            yield from packet.decode()
        except av.FFmpegError:
            damage.packets += 1


def _move(packet, seconds):
    """Adds seconds to a packet's times, so that those of its frames are right."""
    ticks = round(seconds / packet.time_base)
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks


def _length(frame, stream):
    """Seconds that a frame lasts, picture or sound."""
    if getattr(frame, "samples", 0):
        return frame.samples / frame.sample_rate
    return float(1 / video_streams.frame_rate(stream))
