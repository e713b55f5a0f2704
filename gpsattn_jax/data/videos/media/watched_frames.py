"""Sampled frames, and where between them the picture changed most (needs PyAV)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gpsattn_jax.data.videos.media.conversion import Converter
from gpsattn_jax.data.videos.media.sampling import Frame, SampledFrames

_SMALL = (32, 18)  # pixels in which two frames are compared


class Change(NamedTuple):
    """The largest change since the last sampled frame: where a cut would be.

    Attributes:
        time: seconds at which the frame after the change begins to show, as a player
            counts them.
        frame: that frame's place among all frames.
    """

    time: float
    frame: int


class WatchedFrames(SampledFrames):
    """Like `SampledFrames`; it looks at all frames, small, while it decodes them."""

    _largest: Change | None = None

    def changes(self) -> Iterator[tuple[Frame, Change]]:
        """Each sampled frame with the change before it; its own time if it repeats."""
        for frame in self:
            found, self._largest = self._largest, None
            yield frame, found or Change(frame.sampled_at, frame.index)

    def _spans(self, container: Any, damage: Any) -> Iterator[tuple[Any, float, float]]:
        small = Converter(_SMALL, 0, "rgb24")
        before: np.ndarray | None = None
        most = 0.0
        self._largest = None
        spans = super()._spans(container, damage)
        for index, (frame, time, until) in enumerate(spans):
            now = small(frame).to_ndarray().astype(np.int16)
            change = 0.0 if before is None else float(np.abs(now - before).mean())
            if self._largest is None or change > most:
                self._largest, most = Change(time, index), change
            before = now
            yield frame, time, until
