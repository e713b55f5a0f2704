"""The streams of a video file, and their frames in order of time (needs PyAV)."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

SLACK = 0.001  # seconds; some formats round their timestamps to as much

# What FFmpeg opens as well, though nobody would call it a video.
_NO_VIDEOS = ("image2", "tty", "bin", "concat", "hls", "lavfi")


@dataclasses.dataclass
class Damage:
    """How many packets could not be decoded."""

    packets: int = 0


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """A container to read from.

    Raises:
        FileNotFoundError, OSError: if there is no such file, or it may not be read.
        ValueError: `PATH: not a readable video: why`.
    """
    _check_file(path)
    why = f"{path}: not a readable video: "
    if not os.path.getsize(path):
        raise ValueError(why + "the file is empty.")
    try:
        # "file:" lest a colon in the name is taken for a protocol.
        container = av.open(f"file:{path}", metadata_errors="ignore")
    except av.FFmpegError as error:
        raise ValueError(f"{why}{error.strerror} (cut off, or no video).") from error
    with container:
        names = container.format.name.split(",")
        if any(name in _NO_VIDEOS or name.endswith("_pipe") for name in names):
            raise ValueError(f"{why}it is a file of the format {names[0]}.")
        yield container


def _check_file(path):
    """The plain errors of plain files, before FFmpeg's."""
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such video file.") from error
    except OSError as error:
        raise type(error)(f"{path} cannot be read: {error.strerror}.") from error


def picture(container: Any, path: str) -> Any:
    """The first video stream that is no cover picture, set to decode in threads."""
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    why = f"{path}: not a readable video: "
    if not streams:
        what = "only sound" if container.streams.audio else "no picture in it"
        raise ValueError(f"{why}there is {what}.")
    if streams[0].codec_context is None:
        raise ValueError(f"{why}its picture needs a decoder that PyAV lacks.")
    streams[0].thread_type = "AUTO"
    return streams[0]


def sound(container: Any) -> Any | None:
    """The first sound stream that can be decoded, or None."""
    streams = (s for s in container.streams.audio if s.codec_context is not None)
    return next((s for s in streams if s.codec_context.sample_rate), None)


def frame_rate(stream: Any) -> Fraction:
    """Frames a second, on average; 25 where the file tells nothing sensible."""
    rates = (stream.average_rate, stream.guessed_rate)
    return next((rate for rate in rates if rate and 0 < rate <= 1000), Fraction(25))


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a pixel over its height; 1 where the file tells nothing sensible."""
    aspect = stream.sample_aspect_ratio
    return aspect if aspect and Fraction(1, 8) <= aspect <= 8 else Fraction(1)


def duration(container: Any, stream: Any, start: float) -> float:
    """Seconds of picture by the header; without one, all packets are looked through."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration:
        begins = (container.start_time or 0) / av.time_base
        return max(0.0, begins + container.duration / av.time_base - start)
    last = start
    with contextlib.suppress(av.FFmpegError):
        container.seek(0)
        for packet in container.demux(stream):
            if packet.pts is not None:
                end = packet.pts + (packet.duration or 0)
                last = max(last, float(end * stream.time_base))
    return last - start


def timed_frames(
    container: Any, stream: Any, damage: Damage | None = None
) -> Iterator[tuple[Any, float]]:
    """Decodes onwards: (frame, seconds on the file's clock), in order of time.

    Damaged packets are counted and passed over. Times that are missing or go
    backwards are put right by the frame rate or the number of samples.
    """
    time, step = None, 0.0
    for frame in _decoded(container, stream, damage or Damage()):
        stamp = frame.dts if frame.pts is None else frame.pts
        told = None if stamp is None else float(stamp * frame.time_base)
        if told is None or (time is not None and told <= time):
            told = 0.0 if time is None else time + step
        time = told
        step = _length(frame, stream)
        yield frame, time


def frames_from(
    container: Any, stream: Any, start: float, damage: Damage | None = None
) -> Iterator[tuple[Any, float]]:
    """As `timed_frames`, beginning at `start` seconds or somewhat before it."""
    for back in (0.0, 5.0, None):
        target = 0.0 if back is None else max(0.0, start - back)
        try:
            container.seek(int(target / stream.time_base), stream=stream)
        except av.FFmpegError:
            if back is None:
                raise
            continue
        frames = timed_frames(container, stream, damage)
        first = next(frames, None)
        # An index may point behind the time asked for; then begin earlier.
        if first is not None and (first[1] <= start + SLACK or back is None):
            yield first
            yield from frames
            return


def spans(
    frames: Iterator[tuple[Any, float]], zero: float, rate: Fraction
) -> Iterator[tuple[Any, float, float]]:
    """(frame, from, until), seconds after `zero`; each ends where the next begins."""
    held = None
    for frame, time in frames:
        if held is not None:
            yield *held, time - zero
        held = frame, time - zero
    if held is not None:
        frame, time = held
        told = frame.duration * frame.time_base if frame.duration else 1 / rate
        yield frame, time, time + float(told)


class Converter:
    """Turns stored frames upright, scales them and changes their pixel format.

    Args:
        size: width and height of the result, pixels.
        rotation: degrees counterclockwise.
        pixel_format: one of FFmpeg's.
    """

    _TURNS = {0: (), 90: ("cclock",), 180: ("clock", "clock"), 270: ("clock",)}

    def __init__(self, size: tuple[int, int], rotation: int, pixel_format: str):
        width, height = size[::-1] if rotation in (90, 270) else size
        self._chain = [("scale", f"{width}:{height}:flags=bicubic")]
        self._chain += [("format", pixel_format)]
        self._chain += [("transpose", turn) for turn in self._TURNS[rotation]]
        self._kind: tuple[int, int, str] | None = None
        self._graph: Any = None

    def __call__(self, frame: Any) -> Any:
        """A decoded frame -> the converted one."""
        kind = frame.width, frame.height, frame.format.name
        if kind != self._kind:  # also in the middle of some files
            self._kind, self._graph = kind, self._built(frame)
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _built(self, frame):
        graph = av.filter.Graph()
        nodes = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base,
            ),
            *(graph.add(name, setting) for name, setting in self._chain),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph


def _decoded(container, stream, damage):
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the rest of the file is lost
            damage.packets += 1
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            damage.packets += 1


def _length(frame, stream):
    """Seconds that a frame lasts, picture or sound."""
    if getattr(frame, "samples", 0):
        return frame.samples / frame.sample_rate
    return float(1 / frame_rate(stream))
