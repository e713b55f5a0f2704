"""The picture of parts of a video, cut by time and encoded anew (needs PyAV)."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from gpsattn_jax.data.videos.media import streams as video_streams
from gpsattn_jax.data.videos.media.conversion import TAGS, Converter
from gpsattn_jax.data.videos.media.decoding import SLACK, frames_from, spans
from gpsattn_jax.data.videos.media.probing import VideoInfo

# In order of preference; the last one is a part of every FFmpeg.
ENCODERS = ("libx264", "libopenh264", "mpeg4")

_REACH = 0.05  # seconds; cuts move no further to get to a frame's beginning


class PictureTrack:
    """Copies parts of a video's picture, encoded anew, to the end of another.

    Args:
        output: container to write to.
        container: container to read from, open as long as this is used.
        info: what is known of the source.
        quality: x264's constant rate factor.

    Attributes:
        encoder: the name of what encodes it.
        n_frames: how many frames were written.
        time: seconds of picture written, up to where the next part begins.

    Raises:
        OSError: if PyAV has none of `ENCODERS`.
    """

    def __init__(self, output: Any, container: Any, info: VideoInfo, quality: int):
        self._output, self._container, self._info = output, container, info
        self._source = video_streams.picture_stream(container, info.path)
        self.encoder = _encoder()
        self._stream = _video_stream(output, self.encoder, info, self._source, quality)
        context = self._stream.codec_context
        size = context.width, context.height
        self._convert = Converter(size, info.rotation, "yuv420p")
        self._base = context.time_base
        self.n_frames, self.time = 0, 0.0
        self._last = -1  # timestamp
        self._lengths: dict[int, int] = {}  # by timestamp

    @property
    def tone_mapped(self) -> str:
        """HLG or PQ, if that was tone-mapped to BT.709; else ""."""
        return self._convert.tone_mapped

    def copy(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        """Encodes what is shown in [start, end): (from, until) of each frame."""
        info, shift = self._info, None
        half = min(float(1 / info.frame_rate) / 2, _REACH) + SLACK
        frames = frames_from(
            self._container, self._source, info.clock, info.zero + start - half
        )
        for frame, time, until in spans(frames, info.zero, info.frame_rate):
            if shift is None:
                if until <= start + half and not _nearer(time, until, start):
                    continue
                if time < start - half:
                    time = start  # a long frame, from its middle on
                shift = self.time - time
            elif time >= end - half and _nearer(time, until, end):
                return
            if until > end + half and end > time:
                until = end
            self._encode(frame, self._on_grid(until + shift))
            yield time, until

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        self._mux(self._stream.encode(None))

    def _on_grid(self, time):
        """Undoes the rounding of timestamps, which some formats keep in thousandths."""
        rate = self._info.frame_rate
        even = float(round(time * rate) / rate)
        return even if abs(even - time) <= SLACK else time

    def _encode(self, frame, until):
        converted = self._convert(frame)
        if not self.n_frames:
            for name in TAGS:
                setattr(self._stream.codec_context, name, getattr(converted, name))
        # Two frames of one time would be refused; a tick apart they are not.
        self._last = max(self._last + 1, round(self.time / self._base))
        converted.pts, converted.time_base = self._last, self._base
        converted.pict_type = 0  # the encoder's own choice, not the source's
        self.time = until
        self.n_frames += 1
        ends = round(self.time / self._base)
        self._lengths[self._last] = max(1, ends - self._last)
        self._mux(self._stream.encode(converted))

    def _mux(self, packets):
        for packet in packets:
            # So that the last frame too is shown for as long as it was.
            packet.duration = self._lengths.pop(packet.pts, packet.duration)
            self._output.mux(packet)


def _nearer(time, until, cut):
    """Whether a frame begins nearer to a cut than it ends."""
    return abs(time - cut) <= abs(until - cut) + SLACK


def _encoder():
    """The first of `ENCODERS` that this PyAV has."""
    for name in ENCODERS:
        with contextlib.suppress(av.FFmpegError, ValueError):
            av.codec.Codec(name, "w")
            return name
    raise OSError(f"this PyAV can encode none of {', '.join(ENCODERS)}")


def _video_stream(output, encoder, info, source, quality):
    rate = info.frame_rate
    stored = source.codec_context.width, source.codec_context.height
    width, height = stored[::-1] if info.rotation in (90, 270) else stored
    aspect = video_streams.pixel_aspect(source)
    stream = output.add_stream(encoder, rate=rate)
    stream.width, stream.height = (max(2, side - side % 2) for side in (width, height))
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.sample_aspect_ratio = 1 / aspect if info.rotation in (90, 270) else aspect
    if encoder == "libx264":
        # "bf": frames in the order of their times. Else mp4 reckons the length of a
        # video of varying rate wrongly: from the order in which they are decoded.
        stream.options = {"crf": str(quality), "preset": "veryfast", "bf": "0"}
        # Fine enough for varying rates, and exact for constant ones.
        finer = max(1, round(90_000 / rate.numerator))
        context.time_base = Fraction(1, min(rate.numerator * finer, 1_000_000))
    else:  # no constant quality there: a bit rate that is ample
        stream.bit_rate = int(0.2 * width * height * rate)
        context.time_base = Fraction(1, 60_000)  # MPEG-4 has 16 bits for it
    return stream
