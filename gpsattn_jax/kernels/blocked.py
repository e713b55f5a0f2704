"""Softmax attention of long sequences, in memory that grows with the length alone.

The plain form (`attend`) keeps a [T, S] matrix for each head. Here a block of queries
is worked off at a time, head after head, with the bias made for that block once for all
heads; the backward pass makes everything again from the logarithm of each row's sum, as
FlashAttention does (Dao et al. 2022, arXiv 2205.14135, algorithm 4). Blocks hold whole
rows, so no running maximum is needed: on a processor that is faster, and memory is
O(S x block) all the same.
"""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating, vary_alike
from gpsattn_jax.kernels.shapes import check_bias_and_mask, check_least, check_shapes

BiasOf = Callable[..., chex.Array]
FactorOf = Callable[[Any, chex.Array, chex.Array, chex.Array], chex.Array]

HIDDEN = -1e30  # a logit that weighs nothing, and is finite


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

    It can be differentiated in reverse mode, twice too (`grad`, `vjp`, `jacrev`);
    forward mode (`jvp`, `linearize`, `jacfwd`, `hessian`) raises a TypeError.

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
    block = -(-num_steps // max(-(-num_steps // block), 1))  # even blocks: less padding
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
    return _attend(query, key, value, learned, length, factor_data, how)


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


@functools.partial(jax.custom_vjp, nondiff_argnums=(6,))
def _attend(query, key, value, learned, length, factor_data, how):
    return _forward(query, key, value, learned, length, factor_data, how)[0]


def _forward(query, key, value, learned, length, factor_data, how):
    """Output, and what the backward pass needs: inputs, output, log of row sums."""
    *_, block, scale = how
    num_heads, num_steps, _ = query.shape
    heads, columns = jnp.arange(num_heads), _columns(key)

    def one_block(start_queries):
        start, queries = start_queries
        indices = _indices(start, block, key.shape[1])
        bias = _bias(learned, indices, length, how)
        factor = _factor(indices, factor_data, how)

        def one_head(inputs):
            head, query, keys, value = inputs
            # The factor comes last: float16 must not overflow before the sum.
            logits = _product(query, keys) * scale + bias
            top = logits.max(-1, keepdims=True)
            blind = top < HIDDEN / 2  # rows that see no key weigh nothing
            weights = jnp.exp(logits - jnp.where(blind, 0, top))
            total = jnp.where(blind, 1, weights.sum(-1, keepdims=True))
            log_sum = jnp.where(blind, jnp.inf, top + jnp.log(total))
            if factor is not None:
                weights = weights * factor(head)
            out = _product(weights.astype(value.dtype), value) / total
            return out, log_sum[:, 0]

        return jax.lax.map(one_head, (heads, queries, columns, value))

    starts, queries = _starts(num_steps, block), _blocks(query, block)
    out, log_sum = jax.lax.map(one_block, (starts, queries))
    out = _join(out, num_steps).astype(value.dtype)
    log_sum = _join(log_sum, num_steps)
    return out, (query, key, value, learned, length, factor_data, out, log_sum)


def _backward(how, residuals, out_grad):
    """Gradients of query, key, value and bias; everything [t, S] is made again."""
    *_, block, scale = how
    query, key, value, learned, length, factor_data, out, log_sum = residuals
    wide = accumulator(query)
    narrow = wide if query.dtype == jnp.float16 else query.dtype  # it would overflow
    # sum_s weights * d weights, from what is at hand (FlashAttention, algorithm 4).
    drift = (out.astype(wide) * out_grad.astype(wide)).sum(-1)

    def one_block(sums, inputs):
        start, *rows = inputs
        grads, learned_grads = sums
        indices = _indices(start, block, key.shape[1])
        bias, bias_back = jax.vjp(lambda x: _bias(x, indices, length, how), learned)
        factor = _factor(indices, factor_data, how)

        def one_head(inputs):
            head, query, out_grad, log_sum, drift, key, value, key_grad, value_grad = (
                inputs
            )
            logits = _product(query, key.T) * scale + bias
            weights = jnp.exp(logits - log_sum[:, None])
            factored, weights_grad = weights, _product(out_grad, value.T)
            if factor is not None:
                factors = factor(head)
                factored, weights_grad = weights * factors, weights_grad * factors
            value_grad += _product(factored.astype(value.dtype).T, out_grad)
            slope = weights * (weights_grad - drift[:, None])
            scaled = (slope * scale).astype(narrow)
            query_grad = _product(scaled, key.astype(narrow))
            key_grad += _product(scaled.T, query.astype(narrow))
            return query_grad, key_grad, value_grad, slope if learned else None

        heads = jnp.arange(len(key))
        query_grad, *grads, slopes = jax.lax.map(
            one_head, (heads, *rows, key, value, *grads)
        )
        if learned:
            (more,) = bias_back(slopes.sum(0).astype(bias.dtype))
            learned_grads = jax.tree.map(jnp.add, learned_grads, more)
        return (grads, learned_grads), query_grad

    zeros = [jnp.zeros_like(array, wide) for array in (key, value)]
    zeros += map(jnp.zeros_like, learned)
    _, *zeros = vary_alike(query, *zeros)
    rows = [_blocks(array, block) for array in (query, out_grad)]
    # Rows that fill up the last block weigh nothing, however large their bias.
    rows += [_blocks(log_sum, block, jnp.inf), _blocks(drift, block)]
    starts = _starts(query.shape[1], block)
    sums, query_grad = jax.lax.scan(one_block, (zeros[:2], zeros[2:]), (starts, *rows))
    (key_grad, value_grad), learned_grads = sums
    return (
        _join(query_grad, query.shape[1]).astype(query.dtype),
        key_grad.astype(key.dtype),
        value_grad.astype(value.dtype),
        learned_grads,
        None,
        None,
    )


_attend.defvjp(_forward, _backward)


def _indices(start, block, num_keys):
    """Rows [t, 1] and columns [1, S] of a block."""
    return (start + jnp.arange(block))[:, None], jnp.arange(num_keys)[None]


def _bias(learned, indices, length, how):
    """The bias [t, S] of a block of rows, hidden keys included."""
    bias_of, _, tree, *_ = how
    rows, columns = indices
    data = tree.unflatten(learned)
    bias = bias_of(*(() if data is None else (data,)), rows, columns, length)
    bias = jnp.where(columns < length, bias.astype(accumulator(bias)), HIDDEN)
    return jnp.broadcast_to(jnp.maximum(bias, HIDDEN), (len(rows), columns.shape[1]))


def _factor(indices, factor_data, how):
    """A head's number -> the factors of a block of rows, or None."""
    factor_of = how[1]
    if factor_of is None:
        return None
    return lambda head: factor_of(factor_data, head, *indices)


def _columns(key):
    """Keys side by side, [N, D, S]: turned once, not again for each block."""
    return jax.lax.optimization_barrier(key.swapaxes(1, 2))


def _starts(num_steps, block):
    return jnp.arange(0, num_steps, block)


def _blocks(array, block, filling=0.0):
    """[N, T, …] -> [blocks, N, block, …], the last one filled up."""
    num_heads, num_steps, *rest = array.shape
    count = -(-num_steps // block)
    padding = [(0, 0), (0, count * block - num_steps)] + [(0, 0)] * len(rest)
    padded = jnp.pad(array, padding, constant_values=filling)
    return padded.reshape(num_heads, count, block, *rest).swapaxes(0, 1)


def _join(blocks, num_steps):
    """The inverse of `_blocks`."""
    count, num_heads, block, *rest = blocks.shape
    joined = blocks.swapaxes(0, 1).reshape(num_heads, count * block, *rest)
    return joined[:, :num_steps]


def _product(left, right):
    return jnp.matmul(left, right, preferred_element_type=accumulator(left))
