"""Exact multiply-add counts of a traced function, from its jaxpr."""

import math
from collections.abc import Callable
from typing import Any

import jax


def count_flops(function: Callable, *arguments: Any) -> int:
    """Floating-point operations of all matmuls and convolutions: 2 x multiply-adds.

    Element-wise work, sums and softmax are left out, as papers do. Loops count once
    per trip. Arguments may be `jax.ShapeDtypeStruct`; nothing is computed.
    """
    return count_in(jax.make_jaxpr(function)(*arguments))


def count_in(traced: Any) -> int:
    """The same of what JAX has traced, a `ClosedJaxpr`."""
    return _count(traced.jaxpr)


def matmul_bytes(function: Callable, *arguments: Any) -> int:
    """Bytes that matmuls and convolutions read and write, each operand once.

    What a step moves if all else were fused into them. Likewise by trips.
    """
    return _sum(jax.make_jaxpr(function)(*arguments).jaxpr, _operand_bytes)


def _count(jaxpr):
    return _sum(jaxpr, _flops)


def _sum(jaxpr, measure):
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            total += measure(equation)
        else:
            trips = equation.params.get("length", 1)
            inner = _inner_jaxprs(equation)
            total += trips * sum(_sum(one, measure) for one in inner)
    return total


def _flops(equation):
    is_dot = equation.primitive.name == "dot_general"
    return _dot_flops(equation) if is_dot else _conv_flops(equation)


def _operand_bytes(equation):
    arrays = [v.aval for v in (*equation.invars, *equation.outvars)]
    return sum(array.size * array.dtype.itemsize for array in arrays)


def _inner_jaxprs(equation):
    for value in equation.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            item = getattr(item, "jaxpr", item)  # a ClosedJaxpr holds a Jaxpr
            if hasattr(item, "eqns"):
                yield item


def _dot_flops(equation):
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    out = equation.outvars[0].aval.shape
    return 2 * math.prod(out) * math.prod(shape[axis] for axis in contracted)


def _conv_flops(equation):
    # Each output value sums over the filter's window and input channels per group.
    numbers = equation.params["dimension_numbers"]
    filters = equation.invars[1].aval.shape
    window = math.prod(filters) // filters[numbers.rhs_spec[0]]
    return 2 * math.prod(equation.outvars[0].aval.shape) * window
