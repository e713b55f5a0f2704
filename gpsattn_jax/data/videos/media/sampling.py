"""Video files -> upright RGB frames, sampled by time (needs PyAV)."""

import dataclasses
import math
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from gpsattn_jax.data.videos.media import streams as video_streams


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
        start: seconds on the file's own clock at which the first frame is shown; all
            other times of this package count from there.
    """

    path: str
    duration: float
    frame_rate: Fraction
    width: int
    height: int
    rotation: int
    has_audio: bool
    start: float


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One sampled frame.

    Attributes:
        image: [H, W, 3] uint8, RGB, upright.
        time: seconds from the video's first frame at which this one begins to show.
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
    with video_streams.opened(name) as container:
        stream = video_streams.picture(container, name)
        frames = video_streams.timed_frames(container, stream)
        frame, start = next(frames, (None, 0.0))
        if frame is None:
            raise ValueError(f"{name}: not a readable video: no frame can be decoded.")
        if frame.pts is None and frame.dts is None:
            raise ValueError(
                f"{name}: not a readable video: its frames bear no times; put the bare "
                "stream into a container such as mp4 first."
            )
        rotation = round(frame.rotation / 90) % 4 * 90
        width, height = _square_size(stream, frame)
        if rotation in (90, 270):
            width, height = height, width
        return VideoInfo(
            path=name,
            duration=video_streams.duration(container, stream, start),
            frame_rate=video_streams.frame_rate(stream),
            width=width,
            height=height,
            rotation=rotation,
            has_audio=video_streams.sound(container) is not None,
            start=start,
        )


class SampledFrames:
    """The frames shown at 0, 1/r, 2/r … seconds, and what is known after the last one.

    Each pass over it decodes the file once more. Only one decoded frame is kept.

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
        convert = video_streams.Converter(self.size, self.info.rotation, "rgb24")
        damage = video_streams.Damage()
        sample, index, until = 0, -1, 0.0
        with video_streams.opened(self.info.path) as container:
            spans = self._spans(container, damage)
            for index, (frame, time, until) in enumerate(spans):
                image = None
                while sample / self.per_second < until - video_streams.SLACK:
                    if image is None:
                        image = convert(frame).to_ndarray()
                    at = sample / self.per_second
                    yield Frame(image, time, index, max(at, time))
                    sample += 1
        self.n_frames, self.duration = index + 1, until
        self.problem = self._judged(damage)
        if self.problem:
            warnings.warn(self.problem, stacklevel=2)

    def _spans(self, container: Any, damage: Any) -> Iterator[tuple[Any, float, float]]:
        stream = video_streams.picture(container, self.info.path)
        frames = video_streams.timed_frames(container, stream, damage)
        return video_streams.spans(frames, self.info.start, self.info.frame_rate)

    def _judged(self, damage):
        """What is wrong with the file, now that all of it was seen."""
        told, found = self.info.duration, self.duration
        found_out = []
        if told - found > max(1.0, 0.02 * told):
            found_out.append(
                f"only {found:.1f} of {told:.1f} s can be decoded; the file seems to "
                "be cut off"
            )
        if damage.packets:
            found_out.append(f"{damage.packets} damaged pieces were passed over")
        return f"{self.info.path}: {', and '.join(found_out)}." if found_out else ""


def sampled_frames(
    path: str | os.PathLike,
    per_second: float = 2.0,
    *,
    shorter_side: int | None = None,
) -> SampledFrames:
    """Samples a video by time, whatever its frame rate, also a varying one.

    For each time k / per_second before the video's end, the frame that is shown then;
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
