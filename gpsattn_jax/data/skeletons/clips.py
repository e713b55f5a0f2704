"""Labelled clips of joints."""

import dataclasses
from collections.abc import Sequence

import numpy as np

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
