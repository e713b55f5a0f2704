"""The sound of parts of a video, cut by samples and encoded anew (needs PyAV)."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from gpsattn_jax.data.videos.media.decoding import frames_from
from gpsattn_jax.data.videos.media.probing import VideoInfo
from gpsattn_jax.data.videos.media.streams import (
    default_stream,
    open_video,
    sound_streams,
)

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025)
_JUMP = 0.02  # seconds between frames from which on a gap is a gap
_WARM_UP = 0.5  # seconds decoded before a cut: the first frames after a seek are bad
DEFAULT, NONE = "default", "none"  # choices of a track besides numbers and languages


def find_sound(path: str, choice: str = DEFAULT) -> str:
    """The sound track of a file that a choice means, in words; "" if none.

    Raises:
        FileNotFoundError, OSError, ValueError: as `choose_sound` and `probe`.
    """
    with open_video(path) as container:
        track = choose_sound(container, path, choice)
        return "" if track is None else describe_sound(container, track)


def choose_sound(container: Any, path: str, choice: str = DEFAULT) -> Any | None:
    """The sound stream that is meant, or None.

    Args:
        container: open to read.
        path: for errors.
        choice: "default" (the first that is flagged so, or else the first), "none", a
            number among the sound tracks, from 0, or a language such as eng.

    Raises:
        ValueError: if there is no such track; lists those that there are.
    """
    tracks = sound_streams(container)
    choice = choice.strip().lower()
    if choice == NONE or (choice == DEFAULT and not tracks):
        return None
    if choice == DEFAULT:
        return default_stream(tracks)
    if choice.isdecimal():
        found = [track for track in tracks if _number(container, track) == int(choice)]
    else:
        found = [track for track in tracks if _language(track) == choice]
        found = found and [default_stream(found)]
    if not found:
        there = "; ".join(describe_sound(container, track) for track in tracks)
        raise ValueError(
            f"{path}: audio must be default, none, or the number or the language of a "
            f"track ({there or 'it has none'}); got {choice!r}."
        )
    return found[0]


def describe_sound(container: Any, track: Any) -> str:
    """Such as "track 1 of 0..1, eng, default"."""
    words = [
        f"track {_number(container, track)} of 0..{len(container.streams.audio) - 1}"
    ]
    if _language(track):
        words.append(_language(track))
    if track.disposition & av.stream.Disposition.default:
        words.append("default")
    return ", ".join(words)


def _number(container, track):
    """Place among all sound tracks, also those without a decoder, as FFmpeg counts."""
    return [other.index for other in container.streams.audio].index(track.index)


def _language(track):
    language = (track.language or "").lower()
    return "" if language == "und" else language


class SoundTrack:
    """Copies parts of a sound track, encoded as AAC, to the end of another.

    Mono stays mono, all else becomes stereo; a rate that AAC lacks becomes 48 kHz.
    Where the source is silent, short or damaged there is silence, so that sound and
    picture stay together.

    Args:
        output: container to write to.
        container: container to read from, open as long as this is used.
        source: the stream in it.
        info: what is known of the source.
    """

    def __init__(self, output: Any, container: Any, source: Any, info: VideoInfo):
        self._output, self._container, self._info = output, container, info
        self._source = source
        context = source.codec_context
        self._rate = context.sample_rate if context.sample_rate in _RATES else 48000
        self._channels = min(context.channels, 2)
        self._layout = ("mono", "stereo")[self._channels - 1]
        self._stream = output.add_stream("aac", rate=self._rate, layout=self._layout)
        self._stream.bit_rate = 80_000 * self._channels
        self._written = 0  # samples
        self._shift = 0.0  # from the source's time to the output's
        self._pieces: Iterator[tuple[int, np.ndarray]] = iter(())
        self._left: tuple[int, np.ndarray] | None = None

    def begin(self, time: float, output_time: float) -> None:
        """From here on, sound of the source's `time` goes to `output_time`, seconds."""
        self._shift = output_time - time
        self._pieces, self._left = self._decoded(time), None

    def write_until(self, time: float) -> None:
        """Writes what is not yet written before the source's `time`, seconds."""
        wanted = self._place(time)
        while self._written < wanted:
            if self._left is None:
                self._left = next(self._pieces, None)
            if self._left is None:
                self._silence(wanted)
                return
            place, samples = self._left
            late = max(0, self._written - place)
            place, samples = place + late, samples[:, late:]
            if samples.shape[1]:
                self._silence(min(place, wanted))
                count = max(0, wanted - place)
                self._encode(samples[:, :count])
                place, samples = place + count, samples[:, count:]
            self._left = (place, samples) if samples.shape[1] else None

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        self._output.mux(self._stream.encode(None))

    def _place(self, time):
        """The sample of the output at which the source's `time` lies."""
        return round((time + self._shift) * self._rate)

    def _decoded(self, time):
        """(place in the output, samples [channels, n]), from a little before `time`."""
        zero = self._info.zero
        start = max(0.0, zero + time - _WARM_UP)
        kind: Any = None
        resampler, place, due = self._resampler(), 0, 0.0
        frames = frames_from(self._container, self._source, self._info.clock, start)
        for frame, begin in frames:
            new = frame.format.name, frame.layout.name, frame.sample_rate
            # Rounded timestamps are no gaps: samples that follow each other stay so.
            if new != kind or abs(begin - due) > _JUMP:
                kind, due, place = new, begin, self._place(begin - zero)
                resampler = self._resampler()
            due += frame.samples / frame.sample_rate
            frame.pts = None  # by them the resampler would fill gaps itself
            for out in resampler.resample(frame):
                samples = out.to_ndarray()
                yield place, samples
                place += samples.shape[1]

    def _resampler(self):
        return av.AudioResampler("fltp", self._layout, self._rate)

    def _silence(self, until):
        while self._written < until:
            count = min(until - self._written, self._rate)
            self._encode(np.zeros((self._channels, count), np.float32))

    def _encode(self, samples):
        if not samples.shape[1]:
            return
        plain = np.ascontiguousarray(samples, np.float32)
        frame = av.AudioFrame.from_ndarray(plain, format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts = self._rate, self._written
        frame.time_base = Fraction(1, self._rate)
        self._written += samples.shape[1]
        self._output.mux(self._stream.encode(frame))
