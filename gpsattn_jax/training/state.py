"""Everything a training step changes, as one tree of arrays."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax


class Network(Protocol):
    """What training asks of a network; `modules.Functional` is one."""

    def init(self, key: jax.Array) -> tuple[Any, Any]:
        """Random key -> (params, state)."""

    def apply(
        self, params: Any, state: Any, *inputs: Any, train: bool = ..., **named: Any
    ) -> tuple[Any, Any]:
        """-> (outputs, new state)."""


class TrainState(NamedTuple):
    """A point of a run.

    Attributes:
        step: steps done, an int32 scalar.
        params: what the optimizer changes.
        model_state: what the network changes by itself: batch statistics.
        opt_state: the optimizer's own.
    """

    step: jax.Array
    params: Any
    model_state: Any
    opt_state: Any


def init_state(
    network: Network, optimizer: optax.GradientTransformation, key: jax.Array
) -> TrainState:
    """The state before the first step; pure, so `jax.eval_shape` gives its shapes."""
    params, model_state = network.init(key)
    return TrainState(jnp.int32(0), params, model_state, optimizer.init(params))
