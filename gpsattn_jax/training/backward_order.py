"""In which order a backward pass makes the gradients: from the loss to the input."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Literal

from gpsattn_jax.stacks import block_names, path_name

# What only moves numbers that were made earlier. A step cuts a stack into its blocks,
# and casts weights to low precision, before all else: their gradients are put together
# after all else.
_MOVES = {
    "add_any", "broadcast_in_dim", "concatenate", "convert_element_type",
    "dynamic_update_slice", "expand_dims", "pad", "reshape", "scatter-add", "squeeze",
    "transpose",
}  # fmt: skip


def backward_order(gradients: Callable[..., Any], *arguments: Any) -> list[str]:
    """The names of all parameters, that which the loss reaches first in front.

    The function is traced, not computed. Blocks of a stack follow each other from the
    last one down, all arrays of a block together.

    Args:
        gradients: gives a tree of gradients.
        *arguments: arrays or their shapes.
    """
    traced, shapes = jax.make_jaxpr(gradients, return_shape=True)(*arguments)
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(shapes)]
    places = dict(zip(paths, _places(traced.jaxpr), strict=True))
    stacks: dict[str, Any] = {}  # a stack begins where its first array does
    for name, place in places.items():
        if block_names(name) is not None:
            start = _stack_of(name)
            stacks[start] = min(stacks.get(start, place), place)
    keys = {}
    for name, place in places.items():
        blocks = block_names(name)
        if blocks is None:
            keys[name] = (place, 0, ())
            continue
        for number, block in enumerate(blocks):
            keys[block] = (stacks[_stack_of(name)], -number, place)
    return sorted(keys, key=lambda name: keys[name])


def _places(jaxpr):
    """For each output the number of what makes it, and the numbers inside of that."""
    makers = {
        variable: (number, equation, output)
        for number, equation in enumerate(jaxpr.eqns)
        for output, variable in enumerate(equation.outvars)
    }
    return [_place(variable, makers) for variable in jaxpr.outvars]


def _place(variable, makers):
    # Literals are hashable in no version of JAX; inputs have no maker.
    if isinstance(variable, Literal) or variable not in makers:
        return ()
    number, equation, output = makers[variable]
    if equation.primitive.name in _MOVES:
        sources = [_place(source, makers) for source in equation.invars]
        return min(filter(None, sources), default=(number,))
    inner = equation.params.get("jaxpr")
    inner = getattr(inner, "jaxpr", inner)
    if inner is None or len(inner.outvars) != len(equation.outvars):
        return (number,)
    return (number, *_places(inner)[output])


def _stack_of(name):
    """The path up to the blocks' numbers: "blocks/1-3" of blocks/1-3/norm/scale."""
    first = (block_names(name) or [name])[0]
    shared = 0
    while name[shared] == first[shared]:
        shared += 1
    return name[: name.index("/", shared)]
