"""Deterministic batches: what a step sees is a function of (seed, epoch, step)."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

Batch = dict[str, dict[str, Any]]


class Batches:
    """Shuffled training batches of whole arrays in memory.

    Every epoch is a permutation drawn from (seed, epoch); what is left of it after the
    last whole batch is dropped, and comes at other places in the next.

    Args:
        inputs: arrays by name, the first axis over examples; the network's arguments.
        targets: likewise; the loss's.
        batch_size: examples of a batch.
        seed: of order and augmentation.
        augment: optional pure function (inputs, key) -> inputs, compiled here.

    Raises:
        ValueError: if the arrays differ in length or are fewer than a batch.
    """

    def __init__(
        self,
        inputs: dict[str, np.ndarray],
        targets: dict[str, np.ndarray],
        *,
        batch_size: int,
        seed: int,
        augment: Callable[[dict[str, Any], jax.Array], dict[str, Any]] | None = None,
    ):
        lengths = {name: len(array) for name, array in (inputs | targets).items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"All arrays must have one length; got {lengths}.")
        self._examples = next(iter(lengths.values()))
        if self._examples < batch_size:
            raise ValueError(
                f"batch_size must be at most the {self._examples} examples; "
                f"got {batch_size}."
            )
        self._inputs, self._targets = inputs, targets
        self._batch_size, self._seed = batch_size, seed
        self._augment = None if augment is None else jax.jit(augment)
        # Kept apart from the run's own key, which dropout uses.
        self._key = jax.random.fold_in(jax.random.key(seed), 0xDA7A)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self._examples // self._batch_size

    def __call__(self, step: int) -> Batch:
        """The batch of a step, counted from the start of the run."""
        epoch, place = divmod(step, self.steps_per_epoch)
        chosen = self._permutation(epoch)[place * self._batch_size :][
            : self._batch_size
        ]
        inputs = {name: array[chosen] for name, array in self._inputs.items()}
        if self._augment is not None:
            inputs = self._augment(inputs, jax.random.fold_in(self._key, step))
        targets = {name: array[chosen] for name, array in self._targets.items()}
        return {"inputs": inputs, "targets": targets}

    def position(self, step: int) -> dict[str, int]:
        """Where the data stands before a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return {"epoch": epoch, "batch": place, "examples": self._examples}

    def _permutation(self, epoch):
        if self._order[0] != epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(
                self._examples
            )
            self._order = (epoch, order)
        return self._order[1]


def in_order(
    arrays: dict[str, np.ndarray], batch_size: int
) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """Every example once, in order, in batches of one shape.

    Yields:
        (arrays of `batch_size` examples, how many of them count); the last batch is
        filled up with its last example.
    """
    examples = len(next(iter(arrays.values())))
    for start in range(0, examples, batch_size):
        count = min(batch_size, examples - start)
        places = np.minimum(np.arange(start, start + batch_size), examples - 1)
        yield {name: array[places] for name, array in arrays.items()}, count
