"""Video files -> upright RGB frames, sampled by time (needs PyAV)."""

import dataclasses
import math
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpsattn_jax.data.videos.media import streams as video_streams
from gpsattn_jax.data.videos.media.conversion import Converter
from gpsattn_jax.data.videos.media.decoding import SLACK, Damage, spans, timed_frames
from gpsattn_jax.data.videos.media.probing import LONGEST, VideoInfo, probe

__all__ = ["Frame", "SampledFrames", "VideoInfo", "probe", "sampled_frames"]


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
        damage, start = Damage(), self.info.start
        index, until, at, sample = -1, start, start, 0
        with video_streams.open_video(self.info.path) as container:
            spans = self._spans(container, damage)
            for index, (frame, time, until) in enumerate(spans):
                self._check_times(until)
                image = None
                while at < until - SLACK:
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
        frames = timed_frames(container, stream, info.clock, damage)
        return spans(frames, info.zero, info.frame_rate)

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


def _size(info, shorter_side):
    """(width, height) of the frames to give out."""
    shorter = min(info.width, info.height)
    scale = min(1.0, shorter_side / shorter) if shorter_side else 1.0
    return tuple(max(1, round(side * scale)) for side in (info.width, info.height))
