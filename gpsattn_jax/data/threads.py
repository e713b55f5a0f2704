"""A function mapped over items in threads, for what leaves the interpreter free."""

import collections
import concurrent.futures
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_AT_ONCE = 4096  # items with a future each, which is no light thing


def in_threads(
    function: Callable[[Any], Any], items: Sequence[Any], threads: int
) -> Iterator[Any]:
    """Like `map(function, items)`, in threads.

    Args:
        function: of one item.
        items: in order.
        threads: at work at once; 0 takes one for each processor.

    Yields:
        The results, in the order of the items.
    """
    threads = threads or os.cpu_count() or 1
    if threads == 1 or len(items) < 2:
        yield from map(function, items)
        return
    for start in range(0, len(items), _AT_ONCE):
        chunk = items[start : start + _AT_ONCE]
        yield from _results(_pool(os.getpid(), threads), function, chunk)


def _results(pool, function, items):
    """As `pool.map`, which may leave thousands of items to be done after Ctrl-C."""
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@functools.cache
def _pool(process, threads):
    """One pool for all who want so many threads; a forked process needs its own."""
    del process
    return concurrent.futures.ThreadPoolExecutor(threads, "in_threads")
