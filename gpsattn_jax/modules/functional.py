"""A network as two pure functions of plain dicts: the only door to Flax's transforms.

Outside `modules/` and `models/` everything (jit, grad, vmap, optax, orbax, sharding
rules) sees dicts of arrays; a later change of Flax touches this file.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
from flax import nnx


@dataclasses.dataclass(frozen=True)
class Functional:
    """A network as pure functions of plain dicts.

    Attributes:
        make: builds the module from its random streams.
        config: what a whole network was built from; None for a part of one.
    """

    make: Callable[[nnx.Rngs], nnx.Module]
    config: Any = None

    def init(self, key: chex.PRNGKey) -> tuple[dict, dict]:
        """Random key -> (params, state), nested dicts; state holds batch statistics.

        Compiled as one program: a deep network starts in seconds.
        """
        return self._init(key)

    @functools.cached_property
    def _init(self) -> Callable[[chex.Array], tuple[dict, dict]]:
        @jax.jit
        def init(key):
            module = self.make(nnx.Rngs(key))
            self._structures.append(nnx.graphdef(module))
            params = nnx.to_pure_dict(nnx.state(module, nnx.Param))
            return params, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))

        return init

    @functools.cached_property
    def _structures(self) -> list[Any]:
        """What tracing `init` leaves here, so that a network is built once."""
        return []

    def shapes(self) -> tuple[dict, dict]:
        """(params, state) as `jax.ShapeDtypeStruct`, without computing anything."""
        return jax.eval_shape(self._init, jax.random.key(0))

    @functools.cached_property
    def graphdef(self) -> Any:
        """The network's structure without its arrays."""
        if not self._structures:
            self.shapes()
        return self._structures[0]

    def apply(
        self,
        params: chex.ArrayTree,
        state: chex.ArrayTree,
        *inputs: Any,
        train: bool = False,
        rng: chex.PRNGKey | None = None,
        **named_inputs: Any,
    ) -> tuple[Any, dict]:
        """Runs the network.

        Args:
            params: as from `init`.
            state: as from `init`.
            *inputs: what the network is called with.
            train: batch statistics and dropout as in training.
            rng: random key, for networks that draw random numbers in training.
            **named_inputs: likewise.

        Returns:
            (outputs, new state). The new state equals `state` unless `train`.
        """
        module = nnx.merge(self.graphdef, params, state)
        rngs = None if rng is None else nnx.Rngs(dropout=rng)
        outputs = module(*inputs, train=train, rngs=rngs, **named_inputs)
        return outputs, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param)))


def rematerialize(
    module: nnx.Module,
    *inputs: Any,
    train: bool = False,
    rngs: nnx.Rngs | None = None,
) -> chex.Array:
    """`module(*inputs)`, whose insides the backward pass computes again.

    So only one module's activations at a time need memory, for one more forward pass.

    Args:
        module: what is called; its statistics are updated.
        *inputs: what it is called with.
        train: passed on.
        rngs: passed on.

    Returns:
        What the module returns.
    """
    graphdef, arrays = nnx.split(module)
    key = None if rngs is None else rngs.dropout()

    @jax.checkpoint
    def run(arrays, inputs, key):
        inside = nnx.merge(graphdef, arrays)
        inner_rngs = None if key is None else nnx.Rngs(dropout=key)
        out = inside(*inputs, train=train, rngs=inner_rngs)
        return out, nnx.state(inside, nnx.Not(nnx.Param))

    out, state = run(arrays, inputs, key)
    nnx.update(module, state)
    return out
