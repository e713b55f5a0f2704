"""After a loss that is not finite: which batch it was, and which gradient was first.

Nothing of this is paid for while all goes well. The steps since the last checkpoint are
done again, which gives the same numbers, and the gradient of the one that failed is
looked through.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from gpsattn_jax.reader_errors import shorten
from gpsattn_jax.stacks import along_stack, by_name, path_name
from gpsattn_jax.training.backward_order import backward_order
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.sharding import Placement
from gpsattn_jax.training.state import Network, TrainState
from gpsattn_jax.training.step import gradients

_MOST_EXAMPLES = 16  # that a message lists


class NotFinite(FloatingPointError):
    """A step's metrics are not finite.

    Args:
        step: which; the first is 1.
        values: its metrics.
        skipped: steps in a row that were skipped before and with it.
    """

    def __init__(self, step: int, values: Mapping[str, float], skipped: int = 0):
        said = f"Not finite at step {step}: {dict(values)}."
        if skipped:
            said += f" It is number {skipped} in a row (train.skip_nonfinite)."
        super().__init__(said)
        self.step = step


def describe_batch(batches: Any, step: int) -> str:
    """Where a step's batch stands in the data, and which examples it holds, if known.

    Args:
        batches: the run's, see `loop.BatchSource`.
        step: counted from 0.
    """
    position = dict(batches.position(step))
    total = position.pop("examples", None)
    said = ", ".join(f"{name} {value}" for name, value in position.items())
    names = names_of(batches, step)
    if names:
        of_all = f" of {total}" if total else ""
        said += f", {len(names)}{of_all} examples: {_listed(names)}"
    return f"Its batch: {said}."


def names_of(batches: Any, step: int) -> list[str]:
    """The names of a step's examples, of all processes; none if they are not known."""
    return getattr(batches, "examples", lambda step: [])(step)


def gradient_finder(
    network: Network,
    loss: Loss,
    config: TrainConfig,
    key: chex.PRNGKey,
    placement: Placement,
) -> Callable[[TrainState, dict[str, Any], list[str]], str]:
    """Tells what of a step is not finite, and in which layer it begins.

    Args:
        network: that is trained.
        loss: its loss.
        config: of the run.
        key: of the run.
        placement: of the state.

    Returns:
        (state before the step, its batch, names of the examples or none) -> sentences.
    """

    def gradients_as(config):
        def gradient(state, batch):
            return gradients(
                state, batch, key, network=network, loss=loss, config=config
            )[0]

        return gradient

    def look(state, batch):
        rows = jax.tree.map(_finite_rows, batch["inputs"])
        grads = gradients_as(config)(state, batch)
        return by_name(rows), _finite_blocks(state.params), _finite_blocks(grads)

    everywhere = NamedSharding(placement.mesh, PartitionSpec())
    # Parts of a batch would hide the order: it is traced without them.
    undivided = gradients_as(dataclasses.replace(config, accumulate=1))

    def tell(state, batch, names):
        compiled = placement.on_mesh(jax.jit(look, out_shardings=everywhere))
        rows, weights, grads = jax.device_get(compiled(state, batch))
        order = backward_order(undivided, state, batch)
        return _sentences(rows, weights, grads, order, names)

    return tell


def _sentences(rows, weights, grads, order, names):
    """What is not finite, from the input to the gradients."""
    said = []
    for name, finite in rows.items():
        if not finite.all():
            of = [names[i] if names else str(i) for i in np.flatnonzero(~finite)]
            said.append(f"Input {name} is not finite in {_listed(of)}.")
    bad = [name for name, finite in weights.items() if not finite]
    if bad:
        said.append(f"Before it weights were not finite: {_listed(bad)}.")
    bad = [name for name in order if not grads[name]]
    if bad:
        said.append(
            "From the loss down, the first gradient that is not finite is that of "
            f"{bad[0]} ({len(bad)} of {len(grads)} parameters have such a one)."
        )
    else:
        said.append("Computed once more, its gradient is finite.")
    return " ".join(said)


def _finite_rows(array):
    """Whether each example of a batch is finite, [B]."""
    array = jnp.asarray(array)
    return jnp.isfinite(array).reshape(len(array), -1).all(1)


def _finite_blocks(tree):
    """Whether each parameter is finite, by name; a stack's blocks one by one."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        name: jnp.isfinite(block).all()
        for path, leaf in leaves
        for name, block in along_stack(path_name(path), leaf)
    }


def _listed(names):
    more = f" and {len(names) - _MOST_EXAMPLES} more" * (len(names) > _MOST_EXAMPLES)
    return ", ".join(shorten(name, 60) for name in names[:_MOST_EXAMPLES]) + more
