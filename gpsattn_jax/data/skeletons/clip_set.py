"""Clips in batches: cropped, resized or drawn from in time; in a cube if wanted."""

from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.skeletons import sampling
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.min_max import min_max, random_turns


class ClipSet:
    """Clips as a `Source`: of each `num_frames` frames are made, or taken.

    Args:
        clips: of any length.
        num_frames: T of a batch.
        crop: the least and the greatest share of a clip's frames that is taken in
            training; where it starts is drawn as well.
        frames: "resize" (linear interpolation in time) or "draw" (whole frames, drawn
            at random and sorted in training).
        min_max: each axis of each whole clip is scaled to [-1, 1].
        degrees: with `min_max`, training first turns clips about x, y and z by up to
            this.

    Raises:
        ValueError: if `num_frames`, `crop` or `frames` is out of range.
    """

    def __init__(
        self,
        clips: Clips,
        num_frames: int,
        crop: tuple[float, float] = (1.0, 1.0),
        *,
        frames: str = "resize",
        min_max: bool = False,
        degrees: Sequence[float] = (0.0, 0.0, 0.0),
    ):
        if num_frames < 1:
            raise ValueError(f"num_frames must be at least 1; got {num_frames}.")
        if not 0.0 < crop[0] <= crop[1] <= 1.0:
            raise ValueError(f"crop must be a range within (0, 1]; got {crop}.")
        if frames not in sampling.FRAMES:
            names = ", ".join(sampling.FRAMES)
            raise ValueError(f"frames must be one of {names}; got {frames!r}.")
        self.clips, self.num_frames, self.crop = clips, num_frames, crop
        self.min_max, self.degrees = min_max, degrees
        self._times = sampling.drawn if frames == "draw" else sampling.resized
        self._lengths = np.diff(clips.offsets)
        self._whole = bool(clips.mask.all())

    def __len__(self) -> int:
        """How many clips."""
        return len(self.clips)

    def name(self, place: int) -> str:
        """Of a clip, as messages have it."""
        return self.clips.names[place]

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """Frames of the clips at places [k].

        With seeds [k] they are of a part of each clip, drawn from its seed; without, of
        all of it. A resized joint is missing if a frame that it is made of lacks it.

        Returns:
            {"inputs": {"joints": [k, M, T, V, C] float32, "mask": [k, M, T, V] bool,
            "time": [k, T] float32}, "targets": {"label": [k] int32}}. The time of a
            frame is 2 t / length - 1, t its fractional place in the whole clip (after
            SkateFormer).
        """
        lengths = self._lengths[places]
        time = self._times(lengths, seeds, self.num_frames, self.crop)
        before = np.minimum(time.astype(np.int64), lengths[:, None] - 1)
        after = np.minimum(before + 1, lengths[:, None] - 1)
        weight = (time - before).astype(np.float32)
        start = self.clips.offsets[places][:, None]
        joints, mask = self._between(start + before, start + after, weight)
        if self.min_max:
            turns = self._turns(seeds)
            joints = min_max(self.clips, places, joints, mask, turns)
        inputs = {
            "joints": np.ascontiguousarray(joints.swapaxes(1, 2)),
            "mask": np.ascontiguousarray(mask.swapaxes(1, 2)),
            "time": (2.0 * time / lengths[:, None] - 1.0).astype(np.float32),
        }
        return {"inputs": inputs, "targets": {"label": self.clips.labels[places]}}

    def _turns(self, seeds):
        if seeds is None or not any(self.degrees):
            return None
        return random_turns(seeds, self.degrees, self.clips.joints.shape[-1])

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
