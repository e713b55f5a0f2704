"""A run's programs lowered from shapes, for devices that need not be there."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.sharding import Placement
from gpsattn_jax.training.state import Network, TrainState, init_state
from gpsattn_jax.training.step import step_program


def state_shapes(
    network: Network,
    config: TrainConfig,
    placement: Placement,
    layers: Sequence[str] = (),
) -> TrainState:
    """The state of a run as `jax.ShapeDtypeStruct` with shardings; computes nothing.

    Args:
        network: what would be trained.
        config: how.
        placement: the devices.
        layers: as for `fit`.
    """
    create = functools.partial(
        init_state,
        network,
        make_optimizer(config, layers),
        averaged=config.ema_decay > 0,
    )
    return placement.shapes(jax.eval_shape(create, _key(config)))


def lower_step(
    network: Network,
    loss: Loss,
    batch: dict[str, Any],
    config: TrainConfig,
    placement: Placement,
    *,
    layers: Sequence[str] = (),
) -> jax.stages.Lowered:
    """The step that `fit` compiles, lowered for a placement's devices.

    Args:
        network: what would be trained.
        loss: of its outputs.
        batch: shapes of a global batch, {"inputs": …, "targets": …}, as a step gets it.
        config: how.
        placement: the devices; absent ones, too.
        layers: as for `fit`.

    Raises:
        ValueError: if the devices, or parts of the batch, cannot share it evenly.
    """
    placement.check_batch(config.batch_size, config.accumulate)
    state = state_shapes(network, config, placement, layers)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    optimizer = make_optimizer(config, layers)
    step, options = step_program(network, loss, optimizer, config, shardings)
    key = placement.shapes(_key(config))
    lower = placement.on_mesh(jax.jit(step, **options).lower)
    return lower(state, _split(batch, placement), key)


def lower_evaluation(
    network: Any,
    forward: Callable[..., Any],
    inputs: dict[str, Any],
    placement: Placement,
) -> jax.stages.Lowered:
    """An evaluation's forward pass, lowered likewise.

    Args:
        network: whose `shapes()` are the weights'.
        forward: (params, model state, inputs) -> outputs.
        inputs: shapes of a global batch's inputs.
        placement: the devices; absent ones, too.
    """
    weights = [placement.shapes(tree) for tree in network.shapes()]
    lower = placement.on_mesh(jax.jit(forward).lower)
    return lower(*weights, _split(inputs, placement))


def _key(config):
    return jax.eval_shape(lambda: jax.random.key(config.seed))


def _split(batch, placement):
    """Shapes of a global batch, split as `Placement.put` splits it."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=sharding
        ),
        batch,
        placement.batch_shardings(batch),
    )
