"""Everything a training step changes, as one tree of arrays."""

from typing import Any, NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp
import optax


class Network(Protocol):
    """What training asks of a network; `modules.Functional` is one."""

    def init(self, key: chex.PRNGKey) -> tuple[chex.ArrayTree, chex.ArrayTree]:
        """Random key -> (params, state)."""

    def apply(
        self,
        params: Any,
        state: Any,
        *inputs: Any,
        train: bool = ...,
        **named: Any,
    ) -> tuple[Any, Any]:
        """Computes.

        Args:
            params: the parameters.
            state: the batch statistics.
            *inputs: arrays.
            train: whether batch statistics are updated and dropout is drawn.
            **named: other inputs, and `rng` where dropout is drawn.

        Returns:
            (outputs, new state).
        """


class TrainState(NamedTuple):
    """A point of a run.

    Attributes:
        step: steps done, an int32 scalar.
        params: what the optimizer changes.
        model_state: what the network changes by itself: batch statistics.
        opt_state: the optimizer's own.
        ema: moving averages {"params", "model_state"}, or None.
        skipped: steps that were skipped since something was not finite, int32 scalars
            {"in_all", "in_a_row"}; None in a run that skips none.
    """

    step: chex.Array
    params: chex.ArrayTree
    model_state: chex.ArrayTree
    opt_state: chex.ArrayTree
    ema: Any = None
    skipped: Any = None


def init_state(
    network: Network,
    optimizer: optax.GradientTransformation,
    key: chex.PRNGKey,
    *,
    averaged: bool = False,
    skipping: bool = False,
    initial: tuple[chex.ArrayTree, chex.ArrayTree] | None = None,
) -> TrainState:
    """The state before the first step; pure, so `jax.eval_shape` gives its shapes.

    Args:
        network: what will be trained.
        optimizer: of its parameters.
        key: random key of the initial values.
        averaged: keep moving averages, too.
        skipping: count skipped steps.
        initial: (params, model state) to start from, instead of random ones.
    """
    params, model_state = network.init(key) if initial is None else initial
    ema = {"params": params, "model_state": model_state} if averaged else None
    skipped = no_steps_skipped() if skipping else None
    return TrainState(
        jnp.int32(0), params, model_state, optimizer.init(params), copy(ema), skipped
    )


def no_steps_skipped() -> dict[str, chex.Array]:
    """`TrainState.skipped` of a run that skips what is not finite, at its start."""
    return {"in_all": jnp.int32(0), "in_a_row": jnp.int32(0)}


def copy(tree: chex.ArrayTree) -> chex.ArrayTree:
    """The same values in memory of their own, so that each can be donated."""
    return jax.tree.map(jnp.copy, tree)
