"""Labelled clips of joints, and batches of them: cropped and resized in time."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.reading import Reading


@dataclasses.dataclass(frozen=True, eq=False)
class Clips:
    """Clips of any length, their frames one after the other.

    Attributes:
        joints: [sum T, M, V, C] float32; missing joints are 0.
        mask: [sum T, M, V] bool; False where a joint or a person is missing.
        offsets: [n + 1]; clip i has the frames offsets[i] to offsets[i + 1].
        labels: [n] int32, places in `class_names`.
        names: a name for each clip.
        class_names: a name for each class.
        layout: of the joints.
        groups: optional [n], the person who acted; validation holds persons out.
        reading: how their arrays were read.

    Raises:
        ValueError: names the clip, or the field, and what was expected and got.
    """

    joints: np.ndarray
    mask: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    layout: Layout
    groups: np.ndarray | None = None
    reading: Reading = Reading()

    def __post_init__(self) -> None:
        _check_arrays(self)
        for i in np.flatnonzero(np.diff(self.offsets) < 1)[:1]:
            raise ValueError(f"{self.names[i]}: must have frames; got none.")
        last = len(self.class_names) - 1
        for i in np.flatnonzero((self.labels < 0) | (self.labels > last))[:1]:
            raise ValueError(
                f"{self.names[i]}: label must be in 0..{last}; got {self.labels[i]}."
            )
        earlier: set[str] = set()
        for name in self.names:
            if name in earlier:
                raise ValueError(f"{name}: clips must differ in name; got it twice.")
            earlier.add(name)

    def __len__(self) -> int:
        """How many clips."""
        return len(self.names)

    def clip(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """One clip: (joints [T, M, V, C], mask [T, M, V])."""
        frames = slice(*self.offsets[place : place + 2])
        return self.joints[frames], self.mask[frames]

    def select(self, places: Sequence[int] | np.ndarray) -> "Clips":
        """The clips at some places, in their order; the arrays are copied."""
        places = np.asarray(places, np.int64)
        lengths = np.diff(self.offsets)[places]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        shift = np.repeat(self.offsets[places] - offsets[:-1], lengths)
        frames = np.arange(offsets[-1]) + shift
        return dataclasses.replace(
            self,
            joints=self.joints[frames],
            mask=self.mask[frames],
            offsets=offsets,
            labels=self.labels[places],
            names=tuple(self.names[place] for place in places),
            groups=None if self.groups is None else self.groups[places],
        )


class ClipSet:
    """Clips as a `Source`: each is cropped in time and resized to `num_frames`.

    Args:
        clips: of any length.
        num_frames: T of a batch.
        crop: the least and the greatest share of a clip's frames that is taken in
            training; where it starts is drawn as well.

    Raises:
        ValueError: if `num_frames` or `crop` is out of range.
    """

    def __init__(
        self, clips: Clips, num_frames: int, crop: tuple[float, float] = (1.0, 1.0)
    ):
        if num_frames < 1:
            raise ValueError(f"num_frames must be at least 1; got {num_frames}.")
        if not 0.0 < crop[0] <= crop[1] <= 1.0:
            raise ValueError(f"crop must be a range within (0, 1]; got {crop}.")
        self.clips, self.num_frames, self.crop = clips, num_frames, crop
        self._lengths = np.diff(clips.offsets)
        self._whole = bool(clips.mask.all())

    def __len__(self) -> int:
        """How many clips."""
        return len(self.clips)

    def name(self, place: int) -> str:
        """Of a clip, as messages have it."""
        return self.clips.names[place]

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """The clips at places [k], resized by linear interpolation in time.

        With seeds [k], a part of each clip, drawn from its seed; without, all of it. A
        resized joint is missing if a frame that it is made of lacks it.

        Returns:
            {"inputs": {"joints": [k, M, T, V, C] float32, "mask": [k, M, T, V] bool,
            "time": [k, T] float32}, "targets": {"label": [k] int32}}. The time of a
            frame is 2 t / length - 1, t its fractional place in the whole clip (after
            SkateFormer).
        """
        lengths = self._lengths[places]
        time = self._times(lengths, seeds)
        before = np.minimum(time.astype(np.int64), lengths[:, None] - 1)
        after = np.minimum(before + 1, lengths[:, None] - 1)
        weight = (time - before).astype(np.float32)
        start = self.clips.offsets[places][:, None]
        joints, mask = self._between(start + before, start + after, weight)
        inputs = {
            "joints": np.ascontiguousarray(joints.swapaxes(1, 2)),
            "mask": np.ascontiguousarray(mask.swapaxes(1, 2)),
            "time": (2.0 * time / lengths[:, None] - 1.0).astype(np.float32),
        }
        return {"inputs": inputs, "targets": {"label": self.clips.labels[places]}}

    def _times(self, lengths, seeds):
        """Fractional frame numbers [k, T]."""
        taken = lengths.astype(np.float64)
        start = np.zeros(len(lengths))
        if seeds is not None:
            low, high = self.crop
            taken = taken * (low + (high - low) * uniform(seeds, 0))
            taken = np.maximum(taken, 1.0)
            start = (lengths - taken) * uniform(seeds, 1)
        steps = np.linspace(0.0, 1.0, self.num_frames) if self.num_frames > 1 else 0.5
        return start[:, None] + (taken - 1.0)[:, None] * np.atleast_1d(steps)

    def _between(self, before, after, weight):
        joints = self.clips.joints[before]
        step = self.clips.joints[after]
        step -= joints
        step *= weight[:, :, None, None, None]
        joints += step
        if self._whole:
            return joints, np.ones(joints.shape[:-1], bool)
        alone = (weight == 0.0)[:, :, None, None]
        mask = self.clips.mask[before] & (self.clips.mask[after] | alone)
        joints *= mask[..., None]
        return joints, mask


def uniform(seeds: np.ndarray, draw: int) -> np.ndarray:
    """Numbers in [0, 1), each a function of its seed and of the draw's number.

    SplitMix64 (Steele, Lea and Flood 2014) as a hash: a thousand times cheaper than a
    generator for each seed.
    """
    with np.errstate(over="ignore"):
        state = np.asarray(seeds).astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
        state += np.uint64(draw + 1) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _check_arrays(clips):
    shape, count = clips.joints.shape, len(clips.names)
    if len(shape) != 4 or clips.joints.dtype != np.float32:
        raise ValueError(
            "joints must be [sum T, M, V, C] float32; "
            f"got {shape} {clips.joints.dtype}."
        )
    if shape[2] != clips.layout.num_joints:
        raise ValueError(
            f"joints must have the {clips.layout.num_joints} joints of layout "
            f"{clips.layout.name}; got {shape[2]}."
        )
    if clips.mask.shape != shape[:3] or clips.mask.dtype != bool:
        raise ValueError(
            f"mask must be {shape[:3]} bool; got {clips.mask.shape} {clips.mask.dtype}."
        )
    ends = clips.offsets.shape == (count + 1,) and clips.offsets[[0, -1]].tolist()
    if ends != [0, shape[0]]:
        raise ValueError(f"offsets must be {count + 1} numbers from 0 to {shape[0]}.")
    for field in ("labels", "groups"):
        array = getattr(clips, field)
        if array is not None and array.shape != (count,):
            raise ValueError(f"{field} must be [{count}]; got {array.shape}.")
