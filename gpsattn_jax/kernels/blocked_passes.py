"""The forward and backward pass of `attend_blocked`, a block of queries at a time.

Blocks hold whole rows, so no running maximum is needed: on a processor that is faster,
and memory is O(S x block) all the same. The backward pass makes everything again from
the logarithm of each row's sum, as FlashAttention does (Dao et al. 2022, arXiv
2205.14135, algorithm 4).
"""

import functools

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, vary_alike

HIDDEN = -1e30  # a logit that weighs nothing, and is finite


@functools.partial(jax.custom_vjp, nondiff_argnums=(6,))
def attend_heads(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    learned: list[chex.Array],
    length: chex.Array,
    factor_data: chex.ArrayTree | None,
    how: tuple,
) -> chex.Array:
    """The output of all heads.

    Args:
        query: [N, T, D].
        key: [N, S, D], zeros where hidden.
        value: [N, S, E], likewise.
        learned: arrays of the bias that have gradients.
        length: keys from here on are hidden.
        factor_data: arrays of the factors.
        how: what is no array: `bias_of`, `factor_of`, the tree of `learned`, the
            queries in a block, the factor on the logits.

    Returns:
        [N, T, E] in value's dtype.
    """
    return _forward(query, key, value, learned, length, factor_data, how)[0]


def _forward(query, key, value, learned, length, factor_data, how):
    """Output, and what the backward pass needs: inputs, output, log of row sums."""
    out, log_sum = forward_pass(query, key, value, learned, length, factor_data, how)
    out = out.astype(value.dtype)
    return out, (query, key, value, learned, length, factor_data, out, log_sum)


def forward_pass(
    query: chex.Array,
    key: chex.Array,
    value: chex.Array,
    learned: list[chex.Array],
    length: chex.Array,
    factor_data: chex.ArrayTree | None,
    how: tuple,
) -> tuple[chex.Array, chex.Array]:
    """Output of the keys at hand, and what joins it to that of other keys.

    Args: as `attend_heads` has them.

    Returns:
        (output [N, T, E], logarithm of each row's sum of weights [N, T], inf where a
        row sees no key), float32 at least.
    """
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
    return _join(out, num_steps), _join(log_sum, num_steps)


def _backward(how, residuals, out_grad):
    """Gradients of query, key, value and bias."""
    query, key, value, *_ = residuals
    *grads, learned_grads = backward_pass(how, residuals, out_grad)
    grads = [g.astype(a.dtype) for g, a in zip(grads, (query, key, value), strict=True)]
    return *grads, learned_grads, None, None


def backward_pass(
    how: tuple, residuals: tuple, out_grad: chex.Array
) -> tuple[chex.Array, chex.Array, chex.Array, list[chex.Array]]:
    """Gradients by the keys at hand; everything [t, S] is made again.

    Args:
        how: as `attend_heads` has it.
        residuals: query, key, value, learned, length, factor_data as there; the output
            and the logarithm of each row's sum, over all keys there are.
        out_grad: [N, T, E].

    Returns:
        Those of query, key and value, float32 at least, and of `learned`.
    """
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
    return _join(query_grad, query.shape[1]), key_grad, value_grad, learned_grads


attend_heads.defvjp(_forward, _backward)


def even_block(num_steps: int, most: int) -> int:
    """Queries of a block, at most so many: even blocks have less padding.

    Args:
        num_steps: T.
        most: of a block.
    """
    return -(-num_steps // max(-(-num_steps // most), 1))


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
