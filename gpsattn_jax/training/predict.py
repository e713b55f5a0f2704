"""A network's outputs for every example once, on any number of devices."""

from collections.abc import Callable, Iterable
from typing import Any

import chex
import numpy as np

from gpsattn_jax.training.processes import in_turn
from gpsattn_jax.training.sharding import Placement, on_every_process


def predict(
    forward: Callable[[chex.ArrayTree, chex.ArrayTree, Any], chex.Array],
    params: chex.ArrayTree,
    model_state: chex.ArrayTree,
    batches: Iterable[tuple[dict[str, Any], int]],
    placement: Placement,
) -> np.ndarray:
    """The outputs of all batches in order, whole on every process.

    Args:
        forward: (params, model state, inputs) -> outputs [B, …], compiled.
        params: the network's.
        model_state: likewise.
        batches: (batch of this process's rows, how many of the batch's examples count).
        placement: where the batches go.

    Returns:
        [n, …], every example that counts once.
    """
    outputs: list[Any] = []
    forward = placement.on_mesh(forward)
    for batch, count in batches:
        inputs = placement.put(batch["inputs"])
        outputs.append((in_turn(forward(params, model_state, inputs)), count))
        if len(outputs) > 1:  # fetched while the next batch is at work
            outputs[-2] = _fetch(*outputs[-2])
    outputs[-1] = _fetch(*outputs[-1])
    return np.concatenate(outputs)


def _fetch(output, count):
    return on_every_process(output)[:count]
