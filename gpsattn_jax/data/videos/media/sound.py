"""The sound of parts of a video, cut by samples and encoded anew (needs PyAV)."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from gpsattn_jax.data.videos.media.streams import frames_from

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025)
_JUMP = 0.02  # seconds between frames from which on a gap is a gap
_WARM_UP = 0.5  # seconds decoded before a cut: the first frames after a seek are bad


class SoundTrack:
    """Copies parts of a sound track, encoded as AAC, to the end of another.

    Mono stays mono, all else becomes stereo; a rate that AAC lacks becomes 48 kHz.
    Where the source is silent, short or damaged there is silence, so that sound and
    picture stay together.

    Args:
        output: container to write to.
        container: container to read from, open as long as this is used.
        source: the stream in it.
        zero: seconds on the file's clock from which times count.
    """

    def __init__(self, output: Any, container: Any, source: Any, zero: float):
        self._output, self._container, self._zero = output, container, zero
        self._source = source
        told = source.codec_context
        self._rate = told.sample_rate if told.sample_rate in _RATES else 48000
        self._channels = min(told.channels, 2)
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
        start = max(0.0, self._zero + time - _WARM_UP)
        kind: Any = None
        resampler, place, due = self._resampler(), 0, 0.0
        for frame, told in frames_from(self._container, self._source, start):
            new = frame.format.name, frame.layout.name, frame.sample_rate
            # Rounded timestamps are no gaps: samples that follow each other stay so.
            if new != kind or abs(told - due) > _JUMP:
                kind, due, place = new, told, self._place(told - self._zero)
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
