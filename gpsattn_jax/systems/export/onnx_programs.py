"""A model's program in the few plain operations that ONNX has, for any batch size.

What jax2onnx 0.17 cannot convert with a symbolic batch is written otherwise. Calls and
loops are written out, forms by platform are chosen, what needs no input is computed. A
pad is a concatenation, a remainder a product, a gather by computed places a product
with a one-hot matrix. Kernels that have another form for ONNX ask `platforms.platform`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal

from gpsattn_jax.platforms import traced_for
from gpsattn_jax.systems.export.models import Model, over_a_batch

# Of calls: where the called program stands among the parameters.
_CALLED = {
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
}  # fmt: skip

_NO_OPERATION = ("optimization_barrier", "stop_gradient")


def plain_program(model: Model) -> tuple[ClosedJaxpr, list[jax.ShapeDtypeStruct]]:
    """Traces a model over a batch `b` and writes it in plain operations.

    Args:
        model: what to export.

    Returns:
        (the program, its inputs' shapes).
    """
    forward, shapes = over_a_batch(model)
    return plain(forward, shapes), shapes


def plain(function: Callable[..., Any], shapes: Sequence[Any]) -> ClosedJaxpr:
    """Any function's program in plain operations.

    Args:
        function: of arrays.
        shapes: theirs, and dtypes.
    """
    with traced_for("onnx"):
        traced = jax.make_jaxpr(function)(*shapes)
    return jax.make_jaxpr(lambda *inputs: _run(traced, inputs))(*shapes)


def _run(program: ClosedJaxpr, inputs: Sequence[Any]) -> list[Any]:
    """Computes a program, or traces it anew, equation by equation."""
    jaxpr = program.jaxpr
    values = dict(zip(jaxpr.constvars, program.consts, strict=True))
    values |= zip(jaxpr.invars, inputs, strict=True)

    def read(place):
        return place.val if isinstance(place, Literal) else values[place]

    for equation in jaxpr.eqns:
        given = [read(place) for place in equation.invars]
        if any(isinstance(value, jax.core.Tracer) for value in given):
            found = _operate(equation, given)
        elif not _is_of_one_size(equation):
            found = _bind(equation, given)
        else:
            with jax.ensure_compile_time_eval():
                found = _operate(equation, given)
        values |= zip(equation.outvars, found, strict=True)
    return [read(place) for place in jaxpr.outvars]


def _operate(equation, given):
    """Results of one equation, whatever stands for its operation."""
    name, params = equation.primitive.name, equation.params
    if name == "platform_index":
        # ONNX has convolutions; sums of shifted products are what XLA's CPUs like.
        return [np.int32(params["platforms"].index(None))]
    if name == "cond" and not isinstance(given[0], jax.core.Tracer):
        return _run(params["branches"][int(given[0])], given[1:])
    if name == "scan":
        return _scan(equation, given)
    if name in _CALLED:
        return _run(_closed(params[_CALLED[name]]), given)
    if name in _NO_OPERATION:
        return given
    if name in _WRITTEN:
        return [_WRITTEN[name](equation, *given)]
    return _bind(equation, given)


def _bind(equation, given):
    found = equation.primitive.bind(*given, **equation.params)
    return found if equation.primitive.multiple_results else [found]


def _closed(program):
    return program if isinstance(program, ClosedJaxpr) else ClosedJaxpr(program, ())


def _is_of_one_size(equation):
    """Whether no result has the batch for an axis."""
    shapes = (out.aval.shape for out in equation.outvars)
    return all(isinstance(n, int) for shape in shapes for n in shape)


def _scan(equation, given):
    """A loop, written out. What is carried has as many axes inside as outside."""
    params = equation.params
    body, length = _closed(params["jaxpr"]), params["length"]
    carried = sum(
        inside.aval.ndim == outside.aval.ndim
        for inside, outside in zip(body.jaxpr.outvars, equation.outvars, strict=True)
    )
    fixed = sum(
        inside.aval.ndim == outside.aval.ndim
        for inside, outside in zip(body.jaxpr.invars, equation.invars, strict=True)
    )  # and carried
    carry, columns = given[fixed - carried : fixed], given[fixed:]
    found: list[Any] = [None] * length
    steps = range(length)
    for step in reversed(steps) if params["reverse"] else steps:
        row = [_row(array, step) for array in columns]
        out = _run(body, [*given[: fixed - carried], *carry, *row])
        carry, found[step] = out[:carried], out[carried:]
    return [*carry, *(jnp.stack(parts) for parts in zip(*found, strict=True))]


def _row(array, place):
    if isinstance(array, jax.core.Tracer):
        return lax.index_in_dim(array, place, keepdims=False)
    return np.asarray(array)[place]  # so that what follows needs no input either


def _pad(equation, array, value):
    for axis, (before, behind, between) in enumerate(equation.params["padding_config"]):
        if between:
            raise NotImplementedError("A pad between elements has no form in ONNX.")
        size = array.shape[axis]
        if before < 0 or behind < 0:
            stop = size - max(0, -behind)
            array = lax.slice_in_dim(array, max(0, -before), stop, axis=axis)
        parts = [array]
        for place, count in ((0, before), (len(parts) + 1, behind)):
            if count > 0:
                shape = (*array.shape[:axis], int(count), *array.shape[axis + 1 :])
                parts.insert(place, lax.broadcast(value, shape))
        if len(parts) > 1:
            array = lax.concatenate(parts, axis)
    return array


def _rem(_, dividend, divisor):
    return dividend - lax.mul(lax.div(dividend, divisor), divisor)


def _clamp(_, least, array, most):
    return lax.min(lax.max(array, least), most)


def _gather(equation, array, places):
    """By places that inputs decide: a product with a one-hot matrix.

    Only along one axis, under batches that lie in front. Exact for finite numbers;
    places outside are those of the ends.
    """
    params = equation.params
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    batch = tuple(map(int, numbers.operand_batching_dims))
    behind = tuple(map(int, numbers.start_indices_batching_dims))
    taken = [int(n) for n in numbers.start_index_map if sizes[n] != array.shape[n]]
    in_front = batch == behind == tuple(range(len(batch)))
    if not isinstance(places, jax.core.Tracer) or len(taken) != 1 or not in_front:
        return _bind(equation, [array, places])[0]
    (axis,) = taken
    size, window = array.shape[axis], sizes[axis]
    start = places[..., [*numbers.start_index_map].index(axis)]
    last = lax.full_like(start, size - window)
    start = lax.min(lax.max(start, lax.full_like(start, 0)), last)
    steps = np.arange(window, dtype=start.dtype).reshape((1,) * start.ndim + (-1,))
    wanted = (start[..., None] + steps)[..., None]
    all_places = np.arange(size).reshape((1,) * (wanted.ndim - 1) + (-1,))
    chosen = (wanted == all_places).astype(array.dtype)
    dims = ((chosen.ndim - 1,), (axis,)), (batch, batch)
    found = lax.dot_general(chosen, array, dims, precision=lax.Precision.HIGHEST)
    # What its axes are: those of places, the window, what else the array has.
    rest = [n for n in range(array.ndim) if n not in (*batch, axis)]
    axes = [*(("place", n) for n in range(start.ndim)), ("array", axis)]
    axes += [("array", n) for n in rest]
    cut = [axes.index(("array", int(n))) for n in numbers.collapsed_slice_dims]
    found = lax.squeeze(found, cut)
    left = [name for n, name in enumerate(axes) if n not in cut]
    sources = (name for name in left if name[0] == "place")
    slices = (name for name in sorted(left) if name[0] == "array")
    order = [
        left.index(next(slices if n in numbers.offset_dims else sources))
        for n in range(found.ndim)
    ]
    return lax.transpose(found, order)


_WRITTEN: dict[str, Callable[..., Any]] = {
    "clamp": _clamp, "gather": _gather, "pad": _pad, "rem": _rem,
}  # fmt: skip
