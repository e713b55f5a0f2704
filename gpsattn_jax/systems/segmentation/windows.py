"""Pictures of any size through a network for one size: windows that slide over them."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from gpsattn_jax.data.segmentation.crops import pad_to

Logits = Callable[[np.ndarray], np.ndarray]
MOST_PIXELS = 2**18  # of the windows that are asked for at once


def default_stride(window: int) -> int:
    """Two thirds of a window, as mmsegmentation's settings have it."""
    return max(1, 2 * window // 3)


def batch_size(window: int, devices: int) -> int:
    """Windows of a batch: 64 of 64 pixels, and as much of others, for all devices."""
    return -(-max(1, MOST_PIXELS // window**2) // devices) * devices


def sliding_logits(
    logits: Logits,
    pictures: Iterable[np.ndarray],
    *,
    window: int,
    stride: int,
    size: int,
) -> Iterator[np.ndarray]:
    """The logits of each pixel, a mean over the windows that see it.

    Windows of several pictures share a batch. The last window of a row or column is
    moved back to end with the picture; a picture smaller than a window is filled up
    with its border, and cut again afterwards.

    Args:
        logits: [size, window, window, C] uint8 -> [size, window, window, classes].
        pictures: [H, W, C] uint8 each.
        window: pixels of a side.
        stride: from window to window, at most a window.
        size: windows of a batch.

    Yields:
        [H, W, classes] float32 for each picture, in order.

    Raises:
        ValueError: if the stride would leave pixels out.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"stride must be from 1 to window={window}; got {stride}.")
    waiting: collections.deque[_Picture] = collections.deque()
    batch: list[tuple[_Picture, int, int]] = []
    for pixels in pictures:
        picture = _Picture(pixels, window, stride)
        waiting.append(picture)
        for top, left in picture.corners:
            batch.append((picture, top, left))
            if len(batch) == size:
                _look(logits, batch, window, size)
                batch = []
        while waiting and not waiting[0].missing:
            yield waiting.popleft().mean()
    if batch:
        _look(logits, batch, window, size)
    for picture in waiting:
        yield picture.mean()


def starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin along a side that is at least as long as one."""
    return sorted({min(start, side - window) for start in range(0, side, stride)})


@dataclasses.dataclass
class _Picture:
    """A picture while its windows are at work.

    Attributes:
        pixels: [H, W, C].
        window: pixels of a side.
        stride: from window to window.
    """

    pixels: np.ndarray
    window: int
    stride: int

    def __post_init__(self) -> None:
        self.shape = self.pixels.shape[:2]
        self.pixels = pad_to(self.pixels, self.window, mode="edge")
        rows, columns = (
            starts(side, self.window, self.stride) for side in self.pixels.shape[:2]
        )
        self.corners = [(top, left) for top in rows for left in columns]
        self.missing = len(self.corners)
        self.sums: np.ndarray = np.zeros(())
        self.counts = np.zeros((*self.pixels.shape[:2], 1), np.float32)

    def box(self, top, left):
        """The part of a window."""
        return slice(top, top + self.window), slice(left, left + self.window)

    def add(self, top, left, logits):
        """The logits of one window."""
        if not self.sums.ndim:
            self.sums = np.zeros((*self.pixels.shape[:2], logits.shape[-1]), np.float32)
        self.sums[self.box(top, left)] += logits
        self.counts[self.box(top, left)] += 1
        self.missing -= 1

    def mean(self):
        """[H, W, classes], once no window is missing."""
        height, width = self.shape
        return (self.sums / self.counts)[:height, :width]


def _look(logits, batch, window, size):
    """Fills a batch up with its last window, and hands out what comes of it."""
    pixels = [picture.pixels[picture.box(top, left)] for picture, top, left in batch]
    pixels += [pixels[-1]] * (size - len(pixels))
    found = logits(np.stack(pixels))
    for (picture, top, left), each in zip(batch, found[: len(batch)], strict=True):
        picture.add(top, left, each)
