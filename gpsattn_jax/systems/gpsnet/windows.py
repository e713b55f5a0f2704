"""Windows that slide over frames as they come in."""

import collections
from collections.abc import Iterable, Iterator

import numpy as np

from gpsattn_jax.data.skeletons.stream import Frame

LEAST = 0.25  # of a window must be there
TINY = 1e-6  # seconds; times are sums of fractions


def windows(
    frames: Iterable[Frame], window: float, every: float
) -> Iterator[tuple[float, list[np.ndarray]]]:
    """(end in seconds, frames) of each window that is at least a quarter full.

    The first one begins with the first frame, the next `every` seconds later. What is
    left at the end makes one more, shorter one. Within a window, frames count as evenly
    spaced.

    Args:
        frames: (seconds, joints) in order of time.
        window: seconds.
        every: seconds.
    """
    kept: collections.deque[Frame] = collections.deque()
    first, count, done, end = None, 0, -np.inf, np.inf
    for now, joints in frames:
        if first is None:
            first, end = now, now + window
        while now > end - TINY:
            if _length(kept) > LEAST * window - TINY:
                yield end, [frame for _, frame in kept]
            done, count = end, count + 1
            end = first + window + count * every
            _drop(kept, end - window)
            if not kept and now > end - TINY:  # a pause, however long
                count = int((now - first - window + TINY) // every) + 1
                end = first + window + count * every
        if now > end - window - TINY:
            kept.append((now, joints))
    if kept and kept[-1][0] > done - TINY and _length(kept) > LEAST * window - TINY:
        yield min(end, kept[0][0] + _length(kept)), [frame for _, frame in kept]


def _length(kept):
    """Seconds that frames last: one more than there are steps between them."""
    if len(kept) < 2:
        return 0.0
    return (kept[-1][0] - kept[0][0]) * len(kept) / (len(kept) - 1)


def _drop(kept, start):
    while kept and kept[0][0] < start - TINY:
        kept.popleft()
