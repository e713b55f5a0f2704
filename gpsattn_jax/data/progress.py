"""A line now and then while many files are read."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any


def shown(items: Iterable[Any], total: int, what: str, every: float = 5.0) -> Iterator:
    """Passes items on, telling on standard error how far it is.

    Args:
        items: anything.
        total: how many of them there are.
        what: is done; begins the line.
        every: seconds between two lines; what takes less is not shown.

    Yields:
        The items.
    """
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= every or (done == total and last > start):
            rate = done / (now - start)
            print(f"{what}: {done:,} of {total:,} ({rate:,.0f}/s)", file=sys.stderr)
            last = now
