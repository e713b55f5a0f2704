"""Softmax attention of long sequences, in memory that grows with the length alone.

The plain form (`attend`) keeps a [T, S] matrix for each head. Here a block of queries
is worked off at a time, head after head, with the bias made for that block once for all
heads; `blocked_passes.py` has the two passes.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.blocked_passes import attend_heads, even_block
from gpsattn_jax.kernels.dtypes import as_floating, vary_alike
from gpsattn_jax.kernels.shapes import check_bias_and_mask, check_least, check_shapes

BiasOf = Callable[..., chex.Array]
FactorOf = Callable[[Any, chex.Array, chex.Array, chex.Array], chex.Array]


def attend_blocked(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    bias_of: BiasOf,
    length: chex.Array | int,
    *,
    block: int = 256,
    scale: float | None = None,
    bias_data: chex.ArrayTree | None = None,
    factor_of: FactorOf | None = None,
    factor_data: chex.ArrayTree | None = None,
) -> chex.Array:
    """Softmax attention of heads that share a bias: [N, T, D], … -> [N, T, E].

    Equals `attend` with `bias_of` spelled out and keys from `length` on hidden. It sees
    all heads, where other kernels see one, to make the bias once.

    It can be differentiated in reverse mode, and its gradient again in both (`grad`,
    `vjp`, `jacrev`, `hessian`); forward mode first (`jvp`, `linearize`, `jacfwd`)
    raises a TypeError.

    Args:
        query: [N, T, D], or [T, D] for one head; likewise the next two.
        key: [N, S, D].
        value: [N, S, E].
        bias_of: (rows [t, 1], columns [1, S], length) -> a bias that broadcasts to
            [t, S]; one of `POSITION_BIASES` with its options bound. -inf hides a key.
            It must not close over traced arrays: see `bias_data`.
        length: keys from here on are hidden, whatever stands there, NaN too; may be
            traced. No key: zeros.
        block: the most queries that are worked off at a time.
        scale: factor on the logits; 1/sqrt(D) by default. PGL-SUM uses 1.
        bias_data: arrays of a bias that is learned. `bias_of` then takes them first,
            (bias_data, rows, columns, length), and they have gradients.
        factor_of: optional (factor_data, head [], rows, columns) -> factors [t, S] on
            the weights after the softmax, as dropout makes them. It is called again in
            the backward pass and must give the same. It must not close over traced
            arrays.
        factor_data: arrays that `factor_of` needs; not differentiated.

    Returns:
        [N, T, E] (or [T, E]) in value's dtype.

    Raises:
        ValueError: if the shapes do not fit, the block is empty, the bias is boolean,
            or one of the functions closes over traced arrays.
    """
    if query.ndim == 2:
        check_shapes(query=(query, "T D"), key=(key, "S D"), value=(value, "S E"))
        query, key, value = query[None], key[None], value[None]
        out = attend_blocked(
            query, key, value, bias_of, length, block=block, scale=scale,
            bias_data=bias_data, factor_of=factor_of, factor_data=factor_data,
        )  # fmt: skip
        return out[0]
    check_shapes(query=(query, "N T D"), key=(key, "N S D"), value=(value, "N S E"))
    check_least(1, block=block)
    length = jnp.asarray(length)
    num_steps, num_keys = query.shape[1], key.shape[1]
    block = even_block(num_steps, block)
    _check_functions(
        bias_of, bias_data, factor_of, factor_data, length, block, num_keys
    )
    learned, tree = jax.tree.flatten(bias_data)
    query, key, value = as_floating(query, key, value)
    if not (len(query) and num_steps and num_keys):  # nothing to do, or nobody to see
        return jnp.zeros((*query.shape[:2], value.shape[-1]), value.dtype)
    scale = max(query.shape[-1], 1) ** -0.5 if scale is None else scale
    visible = (jnp.arange(num_keys) < length)[None, :, None]
    key, value = (jnp.where(visible, array, 0) for array in (key, value))
    query, key, value, *learned = vary_alike(query, key, value, *learned)
    how = (bias_of, factor_of, tree, block, scale)
    return attend_heads(query, key, value, learned, length, factor_data, how)


def _check_functions(
    bias_of, bias_data, factor_of, factor_data, length, block, num_keys
):
    """Traces both functions once, on a block's indices, without computing anything."""
    rows, columns = jnp.zeros((block, 1), int), jnp.zeros((1, num_keys), int)
    data = () if bias_data is None else (bias_data,)
    for leaf in jax.tree.leaves(bias_data):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise ValueError(
                f"bias_data must be floating point; got {jnp.result_type(leaf)}."
            )
    bias = jax.make_jaxpr(bias_of)(*data, rows, columns, length)
    check_bias_and_mask(bias.out_avals[0], None, "what bias_of returns")
    _check_closed("bias", bias.consts)
    if factor_of is not None:
        arguments = (factor_data, jnp.int32(0), rows, columns)
        _check_closed("factor", jax.make_jaxpr(factor_of)(*arguments).consts)


def _check_closed(name, constants):
    if any(isinstance(constant, jax.core.Tracer) for constant in constants):
        raise ValueError(
            f"{name}_of must not close over traced arrays, which have no gradient "
            f"there; give them as {name}_data, and {name}_of takes it first."
        )
