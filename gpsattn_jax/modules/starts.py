"""How kernels start, and one draw for all of them.

A program with a draw for each kernel takes half a minute to compile. So an initializer
here notes its distribution on the parameter, and `drawn_together` starts all parameters
that have such a note from one draw of each kind.
"""

import contextvars
import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

# Share of the deviation that is left when a normal is cut at two deviations.
_LEFT = np.float32(0.87962566103423978)

# Whether `drawn_together` will draw, which then costs the initializers nothing.
_LATER = contextvars.ContextVar("later", default=False)

_DRAWS: dict[str, Callable[[jax.Array, Sequence[int]], jax.Array]] = {
    "normal": jax.random.normal,
    "truncated_normal": lambda key, shape: jax.random.truncated_normal(
        key, -2, 2, shape
    ),
}


@dataclasses.dataclass(frozen=True)
class Start:
    """An initializer: called with (key, shape), it gives the value of a parameter.

    Attributes:
        draw: "normal", or "truncated_normal", which is cut at two deviations.
        factor: shape -> what the draw is multiplied with.
    """

    draw: str
    factor: Callable[[Sequence[int]], float]

    def __call__(
        self, key: jax.Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32
    ) -> Any:
        """A draw of its own, with the note that lets `drawn_together` replace it."""
        factor = float(self.factor(shape))
        if _LATER.get():
            value = jnp.zeros(shape, dtype)
        else:
            value = (factor * _DRAWS[self.draw](key, shape)).astype(dtype)
        return nnx.VariableMetadata(value, metadata={"start": (self.draw, factor)})


def normal(deviation: float) -> Start:
    """N(0, deviation)."""
    return Start("normal", lambda shape: deviation)


def drawn_together(make: Callable[..., nnx.Module], rngs: nnx.Rngs) -> Any:
    """A module, all of whose `Start`s are parts of one draw of each kind.

    Blocks that are stored stacked get other values each.

    Args:
        make: makes it: `make(rngs=rngs)`.
        rngs: random streams for the initial values.
    """
    token = _LATER.set(True)  # its parts need not draw what would go unused
    try:
        module = make(rngs=rngs)
    finally:
        _LATER.reset(token)
    params = nnx.state(module, nnx.Param)
    leaves = jax.tree.leaves(params, is_leaf=lambda n: isinstance(n, nnx.Variable))
    variables = [leaf for leaf in leaves if "start" in leaf.get_metadata()]
    key = rngs.params()
    for number, kind in enumerate(_DRAWS):
        chosen = [v for v in variables if v.get_metadata()["start"][0] == kind]
        own_key = jax.random.fold_in(key, number) if number else key
        _draw(kind, chosen, own_key)
    nnx.update(module, params)
    return module


def _draw(kind, variables, key):
    sizes = [variable[...].size for variable in variables]
    if not variables:
        return
    # The barrier: otherwise each kernel would make the whole draw again.
    numbers = jax.lax.optimization_barrier(_DRAWS[kind](key, (sum(sizes),)))
    places = itertools.accumulate(sizes, initial=0)
    for variable, size, place in zip(variables, sizes, places, strict=False):
        old, (_, factor) = variable[...], variable.get_metadata()["start"]
        values = numbers[place : place + size].reshape(old.shape)
        variable.set_value((factor * values).astype(old.dtype))


def _he_factor(shape):
    return _deviation(2 / (math.prod(shape) / shape[-2])) / _LEFT


def _lecun_factor(shape):
    return _deviation(1 / (math.prod(shape) / shape[-1])) / _LEFT


def _deviation(variance):
    """In float32, as Flax computes it."""
    return np.sqrt(np.float32(variance))


# TransXNet's (its truncation at 2 never bites), a ResNet's, and Flax's own.
START = normal(0.02)
HE_FAN_OUT = Start("truncated_normal", _he_factor)
LECUN = Start("truncated_normal", _lecun_factor)
