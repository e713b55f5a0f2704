"""The streams of a video file, and their frames in order of time (needs PyAV)."""

import contextlib
import dataclasses
import os
import stat
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from gpsattn_jax.data.videos.media.clock import Clock

SLACK = 0.001  # seconds; some formats round their timestamps to as much

MOST_PIXELS = 40_000_000  # of a frame: 8K has 33 million, and a decoder keeps several
_LARGE = 10_000_000  # pixels from which on threads do not keep frames of their own

# What FFmpeg opens as well, though nobody would call it a video; some of it names other
# files to read.
_NO_VIDEOS = (
    "bin", "concat", "dash", "hls", "image2", "imf", "lavfi", "rtsp", "sdp", "tty",
)  # fmt: skip


@dataclasses.dataclass
class Damage:
    """How many packets could not be decoded."""

    packets: int = 0


@contextlib.contextmanager
def open_video(path: str) -> Iterator[Any]:
    """A container to read from.

    Raises:
        FileNotFoundError, OSError: if there is no such file, or it may not be read.
        ValueError: `PATH: not a readable video: why`.
    """
    check_file(path)
    why = f"{path}: not a readable video: "
    if not os.path.getsize(path):
        raise ValueError(why + "the file is empty.")
    try:
        # "file:" lest a colon in the name is taken for a protocol. The bound holds
        # while FFmpeg looks for the streams, which decodes some frames.
        container = av.open(
            f"file:{path}",
            metadata_errors="ignore",
            options={"max_pixels": str(MOST_PIXELS)},
        )
    except av.FFmpegError as error:
        raise ValueError(f"{why}{error.strerror} (cut off, or no video).") from error
    with container:
        names = container.format.name.split(",")
        if any(name in _NO_VIDEOS or name.endswith("_pipe") for name in names):
            raise ValueError(f"{why}it is a file of the format {names[0]}.")
        yield container


def check_file(path: str | os.PathLike) -> None:
    """The plain errors of plain files, before FFmpeg's; a pipe would wait for ever.

    Raises:
        FileNotFoundError, OSError: if there is no such file, or it may not be read.
        ValueError: if it is a pipe or a device.
    """
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ValueError(
                f"{path}: not a readable video: it must be a regular file; got a pipe, "
                "a socket or a device."
            )
        with open(path, "rb"):
            pass
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such video file.") from error
    except OSError as error:
        raise type(error)(f"{path} cannot be read: {error.strerror}.") from error


def picture_stream(container: Any, path: str) -> Any:
    """The video stream that a player shows, set to decode in threads.

    Raises:
        ValueError: if there is none, no decoder for it, or its frames are too large.
    """
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    why = f"{path}: not a readable video: "
    if not streams:
        what = "only sound" if container.streams.audio else "no picture in it"
        raise ValueError(f"{why}there is {what}.")
    stream = default_stream(streams)
    context = stream.codec_context
    if context is None:
        raise ValueError(f"{why}its picture needs a decoder that PyAV lacks.")
    pixels = context.width * context.height
    if pixels > MOST_PIXELS:
        raise ValueError(
            f"{why}frames must have {MOST_PIXELS:,} pixels at most; got "
            f"{context.width} x {context.height} = {pixels:,}. Scale it down first."
        )
    if not context.is_open:
        # A frame in the middle may be larger than the header says.
        context.options = {"max_pixels": str(MOST_PIXELS)}
        stream.thread_type = "SLICE" if pixels > _LARGE else "AUTO"
    return stream


def sound_streams(container: Any) -> list[Any]:
    """The sound streams that can be decoded."""
    return [
        stream
        for stream in container.streams.audio
        if stream.codec_context is not None and stream.codec_context.sample_rate
    ]


def default_stream(streams: list[Any]) -> Any:
    """The first stream that is flagged as the default, or else the first."""
    flag = av.stream.Disposition.default
    return next((s for s in streams if s.disposition & flag), streams[0])


def frame_rate(stream: Any) -> Fraction:
    """Frames a second, on average; 25 where the file says nothing sensible."""
    rates = (stream.average_rate, stream.guessed_rate)
    return next((rate for rate in rates if rate and 0 < rate <= 1000), Fraction(25))


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a pixel over its height; 1 where the file says nothing sensible."""
    aspect = stream.sample_aspect_ratio
    return aspect if aspect and Fraction(1, 8) <= aspect <= 8 else Fraction(1)


def timed_frames(
    container: Any,
    stream: Any,
    clock: "Clock",
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
    clock: "Clock",
    start: float,
    damage: Damage | None = None,
) -> Iterator[tuple[Any, float]]:
    """As `timed_frames`, beginning at `start` seconds or somewhat before it.

    Args:
        container: to read from.
        stream: of it.
        clock: of the file.
        start: seconds on the file's clock.
        damage: counts what could not be decoded.
    """
    if clock.restarts:  # a seek goes by the file's own clock, and ends anywhere
        yield from _frames_counted(container.name, stream.index, clock, start, damage)
        return
    for back in (0.0, 5.0, None):
        target = 0.0 if back is None else max(0.0, start - back)
        try:
            container.seek(int(target / stream.time_base), stream=stream)
        except av.FFmpegError:
            if back is None:
                raise
            continue
        frames = timed_frames(container, stream, clock, damage)
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


def _frames_counted(name, index, clock, start, damage):
    """The frames from the key frame before `start`, found by counting packets."""
    with open_video(name.removeprefix("file:")) as container:
        stream = container.streams[index]
        if stream.type == "video":
            stream.thread_type = "AUTO"
        skip = clock.key_before(index, start)
        yield from timed_frames(container, stream, clock, damage, skip=skip)


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
    return float(1 / frame_rate(stream))
