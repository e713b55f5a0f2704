"""`jax.jit` that refuses to trace the same thing twice."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.platforms import platform, traced_for
from gpsattn_jax.training.waiting import announced

_NUMBERS = itertools.count()
_CLEARED = itertools.count(1)


def compiled_once(
    function: Callable[..., Any],
    *,
    what: str = "the network",
    varying: Sequence[int] | None = None,
    **options: Any,
) -> Callable[..., Any]:
    """Compiles a step or an evaluation, once for each type of what may vary.

    Batches may have a few shapes (clips and videos of other lengths, a last part), and
    each is compiled. A second trace for a shape that was there before would go on with
    the right numbers, and cost a compilation at every step: it raises instead. After
    `jax.clear_caches` nothing was there before.

    Args:
        function: pure, of arrays and trees by place.
        what: it is, for the line that announces the wait for its compilation.
        varying: places of the arguments that may come in several types, such as the
            batch of a step, whose state must keep its own; all of them by default.
        **options: of `jax.jit`.

    Returns:
        The compiled function.

    Raises:
        AssertionError: at the call that would trace again.
    """
    compiled: dict[Any, Callable[..., Any]] = {}

    def call(*arguments):
        # By default all: weights of a file and of a checkpoint, on a mesh or not,
        # differ in type, too, and one network may be asked with both.
        places = range(len(arguments)) if varying is None else varying
        leaves, tree = jax.tree.flatten([arguments[place] for place in places])
        mesh = jax.sharding.get_abstract_mesh()  # modules may ask for it
        shapes = (mesh, tree, *map(jax.typeof, leaves))
        if shapes not in compiled:
            once = _traced_once(function)
            compiled[shapes] = jax.jit(once, **options)
            with announced(what, once.__name__):
                return compiled[shapes](*arguments)
        return compiled[shapes](*arguments)

    return call


def _traced_once(function):
    """Chex counts by source and name: for it each of ours has a name of its own."""
    name = getattr(function, "__name__", None) or function.func.__name__

    @functools.cache
    def counted(_):
        def traced(*arguments):
            return function(*arguments)

        traced.__name__ = f"{name}_{next(_NUMBERS)}"
        return chex.assert_max_traces(traced, n=1)

    def once(*arguments):
        with traced_for(platform()):
            return counted(_caches())(*arguments)

    once.__name__ = name  # the cache of compiled programs knows it by that
    return once


def _caches() -> int:
    """Another number after each `jax.clear_caches`: the old one is in such a cache."""
    return jax.eval_shape(_cached).shape[0]


@jax.jit
def _cached():
    return jnp.zeros(next(_CLEARED))
