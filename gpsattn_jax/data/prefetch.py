"""Batches made ahead of their step: in a thread, or in Grain's worker processes."""

import collections
import concurrent.futures
import functools
import gc
import itertools
import pathlib
import re
import shutil
import signal
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from absl import flags

from gpsattn_jax.data.batches import Batch


class BatchOfStep(Protocol):
    """Batches by step; the same step always gives the same batch."""

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""

    def position(self, step: int) -> dict[str, Any]:
        """Where the data stands before a step."""


class Prefetched:
    """The same batches, made while the device is busy with those before.

    A batch depends on its step alone, so that neither `depth` nor `workers` changes it,
    and any step may be asked for: asking for another one than the next starts afresh
    from there (processes are started anew, which takes seconds). What goes wrong while
    a batch is made is raised at its step.

    Args:
        batches: batch of each step. For workers it must be picklable; each gets a copy,
            so give them what reads files, not what holds a large set in memory.
        depth: batches to keep ready, in each worker its share and one more.
        workers: processes; 0 makes the batches in one thread of this process, which is
            enough where decoding leaves the interpreter free. A program that uses
            workers guards its main part by `if __name__ == "__main__":`, since each
            worker imports it.
        stop: the step at which the run ends; nothing is made for it or after.

    Raises:
        ValueError: if depth or workers is too small.
    """

    def __init__(
        self,
        batches: BatchOfStep,
        *,
        depth: int = 2,
        workers: int = 0,
        stop: int | None = None,
    ):
        if depth < 1:
            raise ValueError(f"depth must be at least 1; got {depth}.")
        if workers < 0:
            raise ValueError(f"workers must be at least 0; got {workers}.")
        self._batches, self._stop = batches, stop
        self._stream: Any = _Thread(depth) if workers == 0 else _Workers(depth, workers)
        self._next: int | None = None
        self._closed = False

    def __call__(self, step: int) -> Batch:
        """The batch of a step, counted from the start of the run.

        Raises:
            ValueError: after `close`, or if the step is not before `stop`.
            ChildProcessError: if a worker was killed; says by what.
        """
        if self._closed:
            raise ValueError("These batches are closed.")
        if self._stop is not None and step >= self._stop:
            raise ValueError(f"step must be less than {self._stop}; got {step}.")
        if step != self._next:
            self._stream.start(self._batches, step, self._stop)
        self._next = None  # until all has gone well: an error starts afresh
        batch = next(self._stream)
        self._next = step + 1
        return batch

    def position(self, step: int) -> dict[str, Any]:
        """Where the data stands before a step."""
        return self._batches.position(step)

    def examples(self, step: int) -> list[str]:
        """The names of a step's examples, or their places in the data, if known."""
        return getattr(self._batches, "examples", lambda step: [])(step)

    def close(self) -> None:
        """Ends the thread, or the processes, and waits for that."""
        self._closed = True
        self._stream.close()

    def __enter__(self) -> "Prefetched":
        """Nothing yet; leaving the context closes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes."""
        self.close()


class _Thread:
    """Makes batches in order in one thread, `depth` ahead."""

    def __init__(self, depth: int):
        self._depth = depth
        self._ready: collections.deque[concurrent.futures.Future] = collections.deque()
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "prefetch")
        self._steps: Iterator[int] = iter(())

    def start(self, batches, first, stop):
        self._cancel()
        self._batches = batches
        self._steps = iter(range(first, _END if stop is None else stop))
        self._make(self._depth)

    def _make(self, count):
        for step in itertools.islice(self._steps, count):
            self._ready.append(self._pool.submit(self._batches, step))

    def __next__(self) -> Batch:
        self._make(1)
        return self._ready.popleft().result()

    def _cancel(self):
        while self._ready:
            self._ready.pop().cancel()

    def close(self):
        self._cancel()
        self._pool.shutdown(cancel_futures=True)


class _Workers:
    """Makes batches in processes, which take the steps in turn.

    Grain hands them out in the order of the steps, however many processes there are.
    """

    def __init__(self, depth: int, workers: int):
        self._workers = workers
        self._each = -(-depth // workers)
        self._iterator: Any = None

    def start(self, batches, first, stop):
        import grain

        self.close()
        _settle_flags()
        steps = grain.MapDataset.range(first, _END if stop is None else stop)
        # Each process reads its elements, which are whole batches, one by one: Grain's
        # default would make hundreds of them ahead.
        reading = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        options = grain.MultiprocessingOptions(self._workers, self._each)
        dataset = steps.map(functools.partial(_call, batches)).to_iter_dataset(reading)
        passing = grain.experimental.DatasetOptions(min_shm_size=_least_shared())
        dataset = grain.experimental.WithOptionsIterDataset(dataset, passing)
        self._iterator = iter(dataset.mp_prefetch(options, _ignore_interrupts))

    def __next__(self) -> Batch:
        try:
            batch = next(self._iterator)
        except RuntimeError as error:
            code = re.search(r"Worker process was terminated.*code (-?\d+)", str(error))
            if code is None:
                raise
            raise ChildProcessError(_death(int(code[1]))) from None
        # Copies give the shared memory back at once, whoever keeps the batch.
        return {
            drawer: {name: np.array(array) for name, array in arrays.items()}
            for drawer, arrays in batch.items()
        }

    def close(self):
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None
            gc.collect()  # its parts hold each other, and with them shared memory


_END = 2**40  # a step that no run reaches


def _death(code):
    """What to say of a worker that ended by itself."""
    cause = f"exit status {code}"
    if code < 0:
        cause = signal.Signals(-code).name
    if code == -signal.SIGKILL:
        cause += ", as the system does where memory is short"
    return (
        f"A process that makes batches was ended ({cause}). "
        "Fewer of them, --data.workers, take less memory."
    )


def _least_shared():
    """Arrays from so many bytes on come through shared memory, the others by pipes.

    Containers often have 64 MiB of it, and writing beyond that kills the process.
    """
    shared = pathlib.Path("/dev/shm")
    scarce = shared.is_dir() and shutil.disk_usage(shared).free < 2**30
    return _END if scarce else 2**16


def _settle_flags():
    """Lets Grain read its own flags in a program that parses none."""
    for name in flags.FLAGS:
        if name.startswith("grain_") and not flags.FLAGS.is_parsed():
            flags.FLAGS[name].present = 1


def _call(batches, step):
    return batches(step)


def _ignore_interrupts(worker, workers):
    """Ctrl-C reaches every process of a terminal; it is for the first one to act on."""
    del worker, workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
