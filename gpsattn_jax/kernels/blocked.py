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

import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import accumulator

BiasOf = Callable[[jax.Array, jax.Array, Any], jax.Array]
FactorOf = Callable[[Any, jax.Array, jax.Array, jax.Array], jax.Array]

HIDDEN = -1e30  # a logit that weighs nothing, and is finite


def attend_blocked(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    bias_of: BiasOf,
    length: jax.Array | int,
    *,
    block: int = 256,
    scale: float | None = None,
    factor_of: FactorOf | None = None,
    factor_data: Any = None,
) -> jax.Array:
    """Softmax attention of heads that share a bias: [N, T, D], … -> [N, T, E].

    Equals `attend` with `bias_of` spelled out and keys from `length` on hidden. It sees
    all heads, where other kernels see one, to make the bias once.

    Args:
        query: [N, T, D], or [T, D] for one head; likewise the next two.
        key: [N, S, D].
        value: [N, S, E].
        bias_of: (rows [t, 1], columns [1, S], length) -> a bias that broadcasts to
            [t, S]; one of `POSITION_BIASES` with its options bound. It must not close
            over traced arrays, and is not differentiated.
        length: keys from here on are hidden; may be traced. No key: zeros.
        block: the most queries that are worked off at a time.
        scale: factor on the logits; 1/sqrt(D) by default. PGL-SUM uses 1.
        factor_of: optional (factor_data, head [], rows, columns) -> factors [t, S] on
            the weights after the softmax, as dropout makes them. It is called again in
            the backward pass and must give the same.
        factor_data: arrays that `factor_of` needs; not differentiated.

    Returns:
        [N, T, E] (or [T, E]) in value's dtype.

    Raises:
        ValueError: if the shapes do not fit, or the block is empty.
    """
    if query.ndim == 2:
        check_shapes(query=(query, "T D"), key=(key, "S D"), value=(value, "S E"))
        query, key, value = query[None], key[None], value[None]
        out = attend_blocked(
            query, key, value, bias_of, length, block=block, scale=scale,
            factor_of=factor_of, factor_data=factor_data,
        )  # fmt: skip
        return out[0]
    check_shapes(query=(query, "N T D"), key=(key, "N S D"), value=(value, "N S E"))
    if block < 1:
        raise ValueError(f"block must be at least 1; got {block}.")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    count = -(-query.shape[1] // block)
    block = -(-query.shape[1] // max(count, 1))  # even blocks: less padding
    how = (bias_of, factor_of, block, scale)
    return _attend(query, key, value, jnp.asarray(length), factor_data, how)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attend(query, key, value, length, factor_data, how):
    return _forward(query, key, value, length, factor_data, how)[0]


def _forward(query, key, value, length, factor_data, how):
    """Output, and what the backward pass needs: inputs, output, log of row sums."""
    *_, block, scale = how
    num_heads, num_steps, _ = query.shape
    heads, columns = jnp.arange(num_heads), _columns(key)

    def one_block(start_queries):
        start, queries = start_queries
        bias, factor = _of_block(start, key.shape[1], length, factor_data, how)

        def one_head(inputs):
            head, query, keys, value = inputs
            logits = _product(query * scale, keys) + bias
            top = logits.max(-1, keepdims=True)
            weights = jnp.exp(logits - top)
            total = weights.sum(-1, keepdims=True)
            if factor is not None:
                weights = weights * factor(head)
            out = _product(weights.astype(value.dtype), value) / total
            return out, (top + jnp.log(total))[:, 0]

        return jax.lax.map(one_head, (heads, queries, columns, value))

    starts, queries = _starts(num_steps, block), _blocks(query, block)
    out, log_sum = jax.lax.map(one_block, (starts, queries))
    out = _joined(out, num_steps)
    out = jnp.where(length > 0, out, 0).astype(value.dtype)
    log_sum = _joined(log_sum, num_steps)
    return out, (query, key, value, length, factor_data, out, log_sum)


def _backward(how, kept, out_grad):
    """Gradients of query, key, value; everything [t, S] is made again."""
    *_, block, scale = how
    query, key, value, length, factor_data, out, log_sum = kept
    out_grad = jnp.where(length > 0, out_grad, 0)
    wide = accumulator(query)
    # sum_s weights * d weights, from what is at hand (FlashAttention, algorithm 4).
    drift = (out.astype(wide) * out_grad.astype(wide)).sum(-1)

    def one_block(grads, inputs):
        start, *rows = inputs
        bias, factor = _of_block(start, key.shape[1], length, factor_data, how)

        def one_head(inputs):
            head, query, out_grad, log_sum, drift, key, value, key_grad, value_grad = (
                inputs
            )
            logits = _product(query * scale, key.T) + bias
            weights = jnp.exp(logits - log_sum[:, None])
            kept, weights_grad = weights, _product(out_grad, value.T)
            if factor is not None:
                factors = factor(head)
                kept, weights_grad = weights * factors, weights_grad * factors
            value_grad += _product(kept.astype(value.dtype).T, out_grad)
            slope = (weights * (weights_grad - drift[:, None]) * scale).astype(
                query.dtype
            )
            return _product(slope, key), key_grad + _product(slope.T, query), value_grad

        heads = jnp.arange(len(key))
        query_grad, *grads = jax.lax.map(one_head, (heads, *rows, key, value, *grads))
        return tuple(grads), query_grad

    zeros = (jnp.zeros(key.shape, wide), jnp.zeros(value.shape, wide))
    rows = [_blocks(array, block) for array in (query, out_grad, log_sum, drift)]
    starts = _starts(query.shape[1], block)
    (key_grad, value_grad), query_grad = jax.lax.scan(one_block, zeros, (starts, *rows))
    return (
        _joined(query_grad, query.shape[1]).astype(query.dtype),
        key_grad.astype(key.dtype),
        value_grad.astype(value.dtype),
        None,
        None,
    )


_attend.defvjp(_forward, _backward)


def _of_block(start, num_keys, length, factor_data, how):
    """The bias of a block of rows, hidden keys included, and its heads' factors."""
    bias_of, factor_of, block, _ = how
    rows = (start + jnp.arange(block))[:, None]
    columns = jnp.arange(num_keys)[None]
    bias = bias_of(rows, columns, length)
    bias = jnp.where(columns < length, bias, HIDDEN)
    if factor_of is None:
        return bias, None
    return bias, lambda head: factor_of(factor_data, head, rows, columns)


def _columns(key):
    """Keys side by side, [N, D, S]: turned once, not again for each block."""
    return jax.lax.optimization_barrier(key.swapaxes(1, 2))


def _starts(num_steps, block):
    return jnp.arange(0, num_steps, block)


def _blocks(array, block):
    """[N, T, …] -> [blocks, N, block, …], padded with zeros."""
    num_heads, num_steps, *rest = array.shape
    count = -(-num_steps // block)
    padding = [(0, 0), (0, count * block - num_steps)] + [(0, 0)] * len(rest)
    padded = jnp.pad(array, padding)
    return padded.reshape(num_heads, count, block, *rest).swapaxes(0, 1)


def _joined(blocks, num_steps):
    """The inverse of `_blocks`."""
    count, num_heads, block, *rest = blocks.shape
    joined = blocks.swapaxes(0, 1).reshape(num_heads, count * block, *rest)
    return joined[:, :num_steps]


def _product(left, right):
    return jnp.matmul(left, right, preferred_element_type=accumulator(left))
