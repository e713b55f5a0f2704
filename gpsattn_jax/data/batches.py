"""Deterministic batches: what a step sees is a function of (seed, epoch, step)."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

Batch = dict[str, dict[str, Any]]


class Source(Protocol):
    """Examples by place, in memory or decoded when they are asked for."""

    def __len__(self) -> int:
        """How many examples."""

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """The examples at places [k] as {"inputs": {…}, "targets": {…}}.

        Seeds [k], one for each example, are given in training: a source that crops
        while it decodes draws from them. A source that pads examples to a common size
        has `batch_rows(places, seeds, rows)`, too: rows of a batch, as large as in it.
        """


class Arrays:
    """Examples in memory, as a `Source`.

    Args:
        inputs: arrays by name, the first axis over examples; the network's arguments.
        targets: likewise; the loss's.

    Raises:
        ValueError: if the arrays differ in length.
    """

    def __init__(self, inputs: dict[str, np.ndarray], targets: dict[str, np.ndarray]):
        lengths = {name: len(array) for name, array in (inputs | targets).items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"All arrays must have one length; got {lengths}.")
        self._drawers = {"inputs": inputs, "targets": targets}
        self._length = next(iter(lengths.values()))

    def __len__(self) -> int:
        """How many examples."""
        return self._length

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """See `Source`."""
        del seeds
        return {
            drawer: {name: array[places] for name, array in arrays.items()}
            for drawer, arrays in self._drawers.items()
        }


class Batches:
    """Shuffled training batches.

    Every epoch is a permutation drawn from (seed, epoch); what is left of it after the
    last whole batch is dropped, and comes at other places in the next.

    Args:
        source: the examples.
        batch_size: examples of a batch, over all processes together.
        seed: of the order, and of what the source draws.
        rows: the part of each batch that this process makes; all of it by default.

    Raises:
        ValueError: if there are fewer examples than in a batch.
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int,
        seed: int,
        rows: slice = slice(None),
    ):
        if len(source) < batch_size:
            raise ValueError(
                f"batch_size must be at most the {len(source)} examples; "
                f"got {batch_size}."
            )
        self._source, self._batch_size = source, batch_size
        self._seed, self._rows = seed, rows
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return len(self._source) // self._batch_size

    def __call__(self, step: int) -> Batch:
        """The batch of a step, counted from the start of the run."""
        places = self._places(step)
        first = step * self._batch_size
        seeds = np.arange(first, first + self._batch_size) + (self._seed << 40)
        return _rows_of(self._source, places, seeds, self._rows)

    def position(self, step: int) -> dict[str, int]:
        """Where the data stands before a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return {"epoch": epoch, "batch": place, "examples": len(self._source)}

    def examples(self, step: int) -> list[str]:
        """The names of a step's examples, of all processes, in the batch's order.

        Where the source gives them no names, they are their places in it.
        """
        name = getattr(self._source, "name", str)
        return [name(int(place)) for place in self._places(step)]

    def _places(self, step):
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self._batch_size
        return self._permutation(epoch)[start : start + self._batch_size]

    def _permutation(self, epoch):
        known, order = self._order
        if known != epoch:
            draw = np.random.default_rng((self._seed, epoch))
            order = draw.permutation(len(self._source))
            self._order = (epoch, order)  # at once: threads may share this object
        return order


def in_order(
    source: Source,
    batch_size: int,
    rows: slice = slice(None),
    seed: int | None = None,
) -> Iterator[tuple[Batch, int]]:
    """Every example once, in order, in batches of one shape.

    Args:
        source: the examples.
        batch_size: examples of a batch, over all processes together.
        rows: the part of each batch that this process makes.
        seed: of what the source draws; it draws nothing if None.

    Yields:
        (batch, how many of its `batch_size` examples count); the last batch is filled
        up with the last example.
    """
    for start in range(0, len(source), batch_size):
        count = min(batch_size, len(source) - start)
        places = np.minimum(np.arange(start, start + batch_size), len(source) - 1)
        seeds = None if seed is None else places + (seed << 40)
        yield _rows_of(source, places, seeds, rows), count


def _rows_of(source, places, seeds, rows):
    if hasattr(source, "batch_rows"):
        return source.batch_rows(places, seeds, rows)
    return source.batch(places[rows], None if seeds is None else seeds[rows])
