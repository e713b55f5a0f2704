"""Features of a video's sampled frames, and a cache of them on disk."""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from gpsattn_jax.data.files.numpy_files import read_npz
from gpsattn_jax.files import replaced

THUMBNAIL = 120  # pixels of a thumbnail's shorter side: what a storyboard shows
_VERSION = 2  # of the file's layout and of what is not the extractor's
_ARRAYS = ("features", "times", "indices", "change_times", "change_indices")


@dataclasses.dataclass(frozen=True, eq=False)
class SampledFeatures:
    """What is known of a video after one pass over it; step k is at start + k / rate.

    All times are seconds as a player counts them: 0:00 is where the file begins.

    Attributes:
        features: [T, D] float32.
        times: [T] seconds at which each step's frame began to show.
        indices: [T] its place among all frames; repeated where a frame shows for long.
        change_times: [T] seconds at which the picture changed most between the step
            before and this one: where a shot that starts with this step begins.
        change_indices: [T] the frame that begins then.
        thumbnails: [T] small JPEG files of the frames.
        rate: steps a second.
        start: seconds at which the picture begins.
        num_frames: of the video.
        duration: seconds of picture that could be decoded.
        frame_rate: frames a second, on average.
        has_audio: whether there is sound.
        extractor: the name of what made the features.
        problem: what was wrong with the file, a sentence; empty if nothing.
    """

    features: np.ndarray
    times: np.ndarray
    indices: np.ndarray
    change_times: np.ndarray
    change_indices: np.ndarray
    thumbnails: tuple[bytes, ...]
    rate: float
    start: float
    num_frames: int
    duration: float
    frame_rate: float
    has_audio: bool
    extractor: str
    problem: str = ""

    def __len__(self) -> int:
        """Steps."""
        return len(self.features)

    @property
    def end(self) -> float:
        """Seconds at which the picture ends."""
        return self.start + self.duration

    def step_times(self) -> np.ndarray:
        """Seconds of each step: [T]."""
        return self.start + np.arange(len(self)) / self.rate

    def picture(self, step: int) -> np.ndarray:
        """The thumbnail of a step, [H, W, 3] uint8."""
        return np.asarray(Image.open(io.BytesIO(self.thumbnails[step])))

    def distinct(self) -> np.ndarray:
        """Steps that show another frame than the step before: [T'] ascending."""
        return np.flatnonzero(np.diff(self.indices, prepend=-1) > 0)


def thumbnail(image: np.ndarray) -> bytes:
    """[H, W, 3] uint8 -> a JPEG file, its shorter side `THUMBNAIL` pixels at most."""
    picture = Image.fromarray(image)
    scale = min(1.0, THUMBNAIL / min(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()


def cache_path(
    folder: str | os.PathLike, video: str | os.PathLike, *settings: Any
) -> pathlib.Path:
    """Where a video's features are kept; another place once the file has changed.

    Args:
        folder: of the cache.
        video: the file; its full path, size and time of change count.
        settings: what else the features depend on.
    """
    video = pathlib.Path(video)
    known = video.stat()
    identity = [str(video.resolve()), known.st_size, known.st_mtime_ns, *settings]
    mark = hashlib.sha256(json.dumps([_VERSION, *identity]).encode()).hexdigest()[:20]
    return pathlib.Path(folder) / f"frames-{mark}.npz"


def write_cache(path: pathlib.Path, sampled: SampledFeatures) -> None:
    """Keeps features; the file appears whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    fields = {field.name for field in dataclasses.fields(sampled)}
    rest = {name: getattr(sampled, name) for name in fields - {*_ARRAYS, "thumbnails"}}
    with replaced(path) as partial, open(partial, "wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            **{name: getattr(sampled, name) for name in _ARRAYS},
            pictures=np.frombuffer(b"".join(sampled.thumbnails), np.uint8),
            lengths=np.array([len(jpeg) for jpeg in sampled.thumbnails], np.int64),
            rest=np.array(json.dumps(rest)),
        )


def read_cache(path: pathlib.Path) -> SampledFeatures | None:
    """The features that were kept there; None if there are none, or a damaged file."""
    try:
        found: dict[str, Any] = read_npz(path, *_ARRAYS, "pictures", "lengths", "rest")
        pictures, ends = found["pictures"].tobytes(), np.cumsum(found["lengths"])
        starts = ends - found["lengths"]
        return SampledFeatures(
            **{name: found[name] for name in _ARRAYS},
            thumbnails=tuple(
                pictures[start:end] for start, end in zip(starts, ends, strict=True)
            ),
            **json.loads(str(found["rest"])),
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return None
