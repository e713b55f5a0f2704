"""Videos as sequences of features with people's opinions of them; padded batches."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.batches import Batch

SHORTEST = 16  # steps of the shortest padded batch


@dataclasses.dataclass(frozen=True)
class Video:
    """One video: what a network takes of it, and what people thought of it.

    Attributes:
        name: its key in the file.
        features: [T, C] float32.
        picks: [T] the first frame of each time step.
        num_frames: of the video.
        target: [T] float32 importance in 0..1, or None.
        shots: [S, 2] first and last frame of each shot, inclusive, or None.
        summaries: [U, n] uint8, the frames that each user chose, or None.
        annotations: [U, n] each user's scores of the frames, or None.
        title: for people.
        fps: frames a second, or None.
    """

    name: str
    features: np.ndarray
    picks: np.ndarray
    num_frames: int
    target: np.ndarray | None = None
    shots: np.ndarray | None = None
    summaries: np.ndarray | None = None
    annotations: np.ndarray | None = None
    title: str = ""
    fps: float | None = None

    def __len__(self) -> int:
        """Time steps."""
        return len(self.features)


class VideoSet:
    """Videos as a `Source` of padded batches.

    Batches are padded to the longest video's bucket (see `bucket`), so that few shapes
    are compiled. A batch may be larger than the set: empty videos fill it up, which
    count nowhere.

    Args:
        videos: in order, with the features that the network takes.
        batch_size: of the batches; the set is filled up to one batch.
        multiple_of: steps of a batch are a multiple of it, such as of the devices that
            share them.
    """

    def __init__(
        self, videos: Sequence[Video], batch_size: int = 1, *, multiple_of: int = 1
    ):
        self.videos = list(videos)
        self._multiple = multiple_of
        self._length = max(len(self.videos), batch_size)

    def __len__(self) -> int:
        """How many videos, empty ones included."""
        return self._length

    def name(self, place: int) -> str:
        """Of a video, as messages have it."""
        return self.videos[place].name if place < len(self.videos) else "(empty)"

    def batch(self, places: np.ndarray, seeds: np.ndarray | None = None) -> Batch:
        """Videos at some places, padded.

        Returns:
            {"inputs": {"features": [B, T, C], "length": [B]},
            "targets": {"score": [B, T], "length": [B]}}, float32 and int32; scores are
            zero where a video has none.
        """
        return self.batch_rows(places, seeds, slice(None))

    def batch_rows(
        self, places: np.ndarray, seeds: np.ndarray | None, rows: slice
    ) -> Batch:
        """Some rows of a batch, padded as all of it: each process makes its own."""
        del seeds
        known = [place for place in places if place < len(self.videos)]
        longest = max((len(self.videos[place]) for place in known), default=1)
        places = places[rows]
        steps = -(-bucket(longest) // self._multiple) * self._multiple
        shape = (len(places), steps)
        channels = self.videos[0].features.shape[1]
        features = np.zeros((*shape, channels), np.float32)
        scores, lengths = np.zeros(shape, np.float32), np.zeros(len(places), np.int32)
        for row, place in enumerate(places):
            if place >= len(self.videos):
                continue
            video, steps = self.videos[place], len(self.videos[place])
            features[row, :steps], lengths[row] = video.features, steps
            if video.target is not None:
                scores[row, :steps] = video.target
        return {
            "inputs": {"features": features, "length": lengths},
            "targets": {"score": scores, "length": lengths},
        }


def bucket(length: int) -> int:
    """The padded length of a sequence: at most a quarter longer, few in all.

    Four sizes for each doubling: 16, 20, 24, 28, 32, 40, 48, …
    """
    size = max(length, SHORTEST)
    step = 2 ** (int(size - 1).bit_length() - 3)
    return -(-size // step) * step


def by_number(name: str) -> tuple[int, str]:
    """Sorts video_2 before video_10."""
    digits = "".join(character for character in name if character.isdecimal())
    return int(digits[:18] or 0), name
