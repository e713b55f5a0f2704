"""Attention in blocks: the plain form's numbers, in memory that grows linearly."""

import functools
import re

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from gpsattn_jax.kernels import attend_blocked, attention_weights
from tests.kernels.rows import quick_jit

HEADS = 2


def wave(rows, columns, length):
    return jnp.sin(0.7 * rows + 1.3 * columns + 0.1 * length)


def thirds(data, head, rows, columns):
    """Factors as dropout's: some weights go, the others grow."""
    return data * ((rows + 2 * columns + head) % 3 > 0)


def plain(query, key, value, bias_of, length, *, factor_of=None, factor_data=None, **_):
    """All weights at once: [N, T, S]."""
    rows, columns = jnp.arange(query.shape[1])[:, None], jnp.arange(key.shape[1])[None]
    bias = bias_of(rows, columns, length)
    mask = jnp.broadcast_to(columns < length, bias.shape)

    def one_head(head, query, key, value):
        weights = attention_weights(query, key, bias, mask)
        if factor_of is not None:
            weights *= factor_of(factor_data, head, rows, columns)
        return weights @ value

    return jax.vmap(one_head)(jnp.arange(len(query)), query, key, value)


def made(queries, keys, dtype=None, heads=(HEADS,), seed=0):
    """query, key, value, and what is multiplied with the result."""
    draw = np.random.default_rng(seed)
    shapes = ((queries, 4), (keys, 4), (keys, 3), (queries, 3))
    return [jnp.asarray(draw.standard_normal((*heads, *s)), dtype) for s in shapes]


def value_and_gradients(attend, arrays, length, **options):
    """The result, then the gradients of its product with the last array.

    Lengths [L] are mapped over.
    """
    *inputs, cotangent = arrays

    def objective(inputs, length):
        out = attend(*inputs, wave, length, **options)
        return jnp.vdot(out, cotangent), out

    run = jax.grad(objective, has_aux=True)
    if np.ndim(length):
        run = jax.vmap(run, in_axes=(None, 0))
    gradients, out = quick_jit(run)(inputs, jnp.asarray(length))
    return [out, *gradients]


# (queries, keys, block)
SIZES = {
    "filled up": (7, 7, 3),
    "a block larger than the sequence": (7, 6, 100),
    "blocks of one": (3, 6, 1),
    "whole blocks": (8, 5, 4),
    "one step": (1, 1, 256),
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_agrees_with_the_plain_form_in_double_precision(sizes, x64):
    """For every length, no key and all keys included, traced and mapped over."""
    queries, keys, block = sizes
    factor_of = None if sizes == SIZES["whole blocks"] else thirds
    options = {"block": block, "factor_of": factor_of, "factor_data": 1.5}
    arrays, lengths = made(queries, keys), np.arange(keys + 1)
    found = value_and_gradients(attend_blocked, arrays, lengths, **options)
    expected = value_and_gradients(plain, arrays, lengths, **options)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, atol=1e-12)
        assert not np.any(one[0])  # no key: zeros
        assert queries == 1 or np.abs(one[-1]).max() > 0
    for gradient in found[2:]:  # hidden keys and values have none
        for length in lengths:
            assert not np.any(gradient[length, :, length:])


def test_agrees_in_single_precision():
    arrays = made(37, 37)
    options = {"block": 8, "factor_of": thirds, "factor_data": 1.5}
    found = value_and_gradients(attend_blocked, arrays, 30, **options)
    expected = value_and_gradients(plain, arrays, 30, **options)
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() < 1e-5 * np.abs(other).max()


def test_gradients_are_those_of_finite_differences(x64):
    *inputs, _ = made(5, 6)

    @jax.jit
    def run(*inputs):
        options = {"block": 2, "factor_of": thirds, "factor_data": 1.5}
        return attend_blocked(*inputs, wave, 4, **options)

    jax.test_util.check_grads(run, inputs, order=1, modes=["rev"], atol=1e-7, rtol=1e-7)


def test_the_size_of_blocks_changes_nothing():
    *inputs, _ = made(13, 13)
    found = []
    for block in (1, 4, 13):
        run = functools.partial(attend_blocked, bias_of=wave, length=11, block=block)
        found.append(quick_jit(run)(*inputs))
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=1e-6)


def test_one_head_has_no_axis_of_heads():
    arrays = made(7, 6, heads=())
    found = value_and_gradients(attend_blocked, arrays, 5, block=3)
    alone = [array[None] for array in arrays]
    expected = value_and_gradients(plain, alone, 5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other[0], atol=1e-6)


def test_factors_may_be_drawn():
    """With a key that is traced, as dropout does: the same backwards as forwards."""

    def drawn(key, head, rows, columns):
        key = jax.random.fold_in(jax.random.fold_in(key, head), rows[0, 0])
        return 2.0 * jax.random.bernoulli(key, shape=(len(rows), columns.shape[1]))

    *inputs, _ = made(8, 8)

    def run(value, key):
        query, keys = inputs[:2]
        return attend_blocked(
            query, keys, value, wave, 8, block=4, factor_of=drawn, factor_data=key
        )

    @quick_jit
    def gradient_of(value, key):
        return jax.grad(lambda value: jnp.square(run(value, key)).sum())(value)

    key, direction = jax.random.key(0), made(8, 8, seed=1)[2]
    forward = quick_jit(run)
    out = forward(inputs[2], key)
    assert np.abs(out - forward(inputs[2], jax.random.key(1))).max() > 0.1
    # Linear in the values: the gradient is exact where the draws are the same.
    gradient = gradient_of(inputs[2], key)
    expected = 2 * jnp.vdot(out, forward(direction, key))
    np.testing.assert_allclose(jnp.vdot(gradient, direction), expected, rtol=1e-4)


def test_half_precision_sums_in_single():
    narrow = made(37, 37, jnp.bfloat16)
    found = value_and_gradients(attend_blocked, narrow, 30, block=8)
    wide = [array.astype(jnp.float32) for array in narrow]
    expected = value_and_gradients(attend_blocked, wide, 30, block=8)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == jnp.bfloat16
        worst = np.abs(one.astype(jnp.float32) - other).max()
        assert worst < 0.03 * np.abs(other).max()


def test_large_logits_stay_finite():
    query, key, value, cotangent = made(6, 6)
    arrays = [1e3 * query, key, value, cotangent]
    for array in value_and_gradients(attend_blocked, arrays, 5, block=2):
        assert np.isfinite(array).all()


def temporary_bytes(attend, steps):
    """What the compiled gradient takes beside inputs and results."""
    shapes = [jax.ShapeDtypeStruct((2, steps, 8), jnp.float32)] * 3

    def objective(*inputs):
        return attend(*inputs, wave, steps, block=64).sum()

    compiled = jax.jit(jax.grad(objective, argnums=(0, 1, 2))).lower(*shapes).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def test_memory_grows_with_the_length_and_not_with_its_square():
    growth = {
        attend: temporary_bytes(attend, 2048) / temporary_bytes(attend, 512)
        for attend in (attend_blocked, plain)
    }
    assert growth[attend_blocked] < 4.5
    assert growth[plain] > 10


@pytest.mark.parametrize(
    ("shapes", "block", "message"),
    [
        (((2, 5, 4), (2, 6, 3), (2, 6, 3)), 4, "key must be [N=2, S, D=4]; got"),
        (((2, 5, 4), (2, 6, 4), (2, 5, 3)), 4, "value must be [N=2, S=6, E]; got"),
        (((5, 4), (6, 4), (5, 3)), 4, "value must be [S=6, E]; got (5, 3)."),
        (((2, 5, 4), (2, 6, 4), (2, 6, 3)), 0, "block must be at least 1; got 0."),
    ],
)
def test_what_does_not_fit(shapes, block, message):
    arrays = [jnp.zeros(shape) for shape in shapes]
    with pytest.raises(ValueError, match=re.escape(message)):
        attend_blocked(*arrays, wave, 5, block=block)
