"""A video file and its streams: opened, bounded, chosen (needs PyAV)."""

import contextlib
import os
import stat
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

MOST_PIXELS = 40_000_000  # of a frame: 8K has 33 million, and a decoder keeps several
_LARGE = 10_000_000  # pixels from which on threads do not keep frames of their own

# What FFmpeg opens as well, though nobody would call it a video; some of it names other
# files to read.
_NO_VIDEOS = (
    "bin", "concat", "dash", "hls", "image2", "imf", "lavfi", "rtsp", "sdp", "tty",
)  # fmt: skip


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
