"""What the papers say must hold of the kernels, whatever they are made of."""

import re

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.kernels import (
    attend,
    attention_weights,
    content_attention,
    content_weights,
    relative_attention,
    relative_weights,
)
from tests.kernels import reference

# Every new size compiles again, so few examples; the same ones in each run.
few_examples = hypothesis.settings(max_examples=8, deadline=None, derandomize=True)

# As GlobalSelfAttention maps the kernel: [H, W, D], [H, W, E], [R, D] -> [H, W, E].
along_rows = jax.vmap(relative_attention, in_axes=(0, 0, None))
down_columns = jax.vmap(relative_attention, in_axes=(1, 1, None), out_axes=1)


def draw(*shapes, seed=0):
    generator = np.random.default_rng(seed)
    return [jnp.asarray(generator.standard_normal(shape)) for shape in shapes]


def assert_close(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


# Content attention: no pixel has a place.


def test_content_attention_commutes_with_permutations_of_the_pixels():
    query, key, value = draw((9, 4), (9, 4), (9, 3))
    order = np.random.default_rng(1).permutation(9)
    permuted = content_attention(query[order], key[order], value[order])
    assert_close(permuted, content_attention(query, key, value)[order])


@pytest.mark.parametrize("kernel", [attend, content_attention])
def test_the_order_of_keys_does_not_matter(kernel):
    query, key, value = draw((5, 4), (9, 4), (9, 3))
    order = np.random.default_rng(1).permutation(9)
    assert_close(kernel(query, key[order], value[order]), kernel(query, key, value))


@pytest.mark.parametrize("kernel", [attend, content_attention])
def test_every_query_stands_alone(kernel):
    query, key, value = draw((5, 4), (9, 4), (9, 3))
    assert_close(kernel(query[2:3], key, value), kernel(query, key, value)[2:3])


def test_content_attention_does_not_normalise_its_queries():
    query, key, value = draw((5, 4), (9, 4), (9, 3))
    doubled = content_attention(2 * query, key, value)
    assert_close(doubled, 2 * content_attention(query, key, value))


def test_content_attention_ignores_a_shift_of_a_key_channel():
    query, key, value, shift = draw((5, 4), (9, 4), (9, 3), (1, 4))
    shifted = content_attention(query, key + 10 * shift, value)
    assert_close(shifted, content_attention(query, key, value))


def test_content_weights_are_what_the_values_are_multiplied_with():
    query, key, value = draw((5, 4), (9, 4), (9, 3))
    weights = content_weights(query, key)
    assert_close(weights @ value, content_attention(query, key, value))
    assert_close(weights.sum(axis=1), query.sum(axis=1))


def test_content_attention_with_large_keys_stays_finite():
    query, key, value = draw((5, 4), (9, 4), (9, 3))
    out, gradients = jax.value_and_grad(
        lambda *arrays: content_attention(*arrays).sum(), argnums=(0, 1, 2)
    )(query, 1e4 * key, value)
    assert np.isfinite(out)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    # Each channel looks at its largest key alone.
    picked = query @ value[np.argmax(key, axis=0)]
    assert_close(content_attention(query, 1e4 * key, value), picked)


@few_examples
@hypothesis.given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 4))
def test_content_attention_of_any_size(queries, keys, channels):
    arrays = draw((queries, channels), (keys, channels), (keys, 3), seed=keys)
    expected = reference.content_attention(*map(np.asarray, arrays))
    assert_close(content_attention(*arrays), expected)


def test_content_attention_needs_no_matrix_of_queries_and_keys():
    length = 4096
    arrays = [jax.ShapeDtypeStruct((length, 8), jnp.float32)] * 3
    for function in (
        content_attention,
        jax.grad(lambda *arrays: content_attention(*arrays).sum(), argnums=(0, 1, 2)),
    ):
        memory = jax.jit(function).lower(*arrays).compile().memory_analysis()
        assert memory.temp_size_in_bytes < 4 * length**2 / 8


# Relative attention: distance is all there is.


def test_axial_attention_equals_the_double_loop():
    height, width = 4, 6
    query, value, columns, rows = draw((4, 6, 3), (4, 6, 2), (7, 3), (11, 3))
    assert (len(columns), len(rows)) == (2 * height - 1, 2 * width - 1)
    arrays = [np.asarray(array) for array in (query, value, columns, rows)]
    assert_close(
        down_columns(query, value, columns), reference.down_columns(*arrays[:3])
    )
    assert_close(
        along_rows(query, value, rows),
        reference.along_rows(arrays[0], arrays[1], arrays[3]),
    )
    both = along_rows(query, down_columns(query, value, columns), rows)
    assert_close(both, reference.axial(*arrays))


def test_axial_attention_equals_one_matrix_over_all_pairs_of_pixels():
    """Its reach is global: every pixel sees every other, by the product of two scores.

    The queries of the second stage are those of the looking pixel, the queries of the
    first those of the pixel at the corner.
    """
    query, value, columns, rows = draw((3, 4, 2), (3, 4, 2), (5, 2), (7, 2))
    out = np.zeros(value.shape)
    for a, b, i, j in np.ndindex(3, 4, 3, 4):
        row_score = query[a, b] @ rows[3 + j - b]
        column_score = query[a, j] @ columns[2 + i - a]
        out[a, b] += row_score * column_score * value[i, j]
    assert_close(along_rows(query, down_columns(query, value, columns), rows), out)


def test_a_distance_weighs_the_same_everywhere():
    query, value, table = draw((1, 3), (9, 2), (17, 3))
    weights = relative_weights(jnp.broadcast_to(query, (9, 3)), table)
    for distance in range(-8, 9):
        diagonal = np.diagonal(weights, distance)
        assert_close(
            diagonal, np.full(9 - abs(distance), query[0] @ table[8 + distance])
        )


def test_relative_weights_are_raw():
    query, value, table = draw((6, 3), (6, 2), (11, 3))
    out = relative_attention(query, value, table)
    assert_close(relative_attention(2 * query, value, table), 2 * out)
    assert_close(relative_attention(query, value, -table), -out)
    assert_close(relative_weights(query, table) @ value, out)


def test_a_short_table_is_a_local_window():
    query, value, table = draw((9, 3), (9, 2), (5, 3))
    seen = np.abs(np.arange(9)[:, None] - np.arange(9)[None, :]) <= 2
    weights = relative_weights(query, table)
    assert np.all((weights == 0) == ~seen)
    jacobian = jax.jacobian(relative_attention, argnums=1)(query, value, table)
    assert np.all(np.any(jacobian != 0, axis=(1, 3)) == seen)
    padded = jnp.pad(table, ((6, 6), (0, 0)))
    assert_close(
        relative_attention(query, value, table),
        relative_attention(query, value, padded),
    )


def test_values_outside_the_window_have_no_influence_at_all():
    query, value, table = draw((9, 3), (9, 2), (5, 3))
    out = relative_attention(query, value, table)
    other = relative_attention(query, value.at[5:].multiply(1e6), table)
    assert np.array_equal(out[:3], other[:3])
    assert not np.array_equal(out[3:], other[3:])


def test_a_longer_table_equals_the_table_cut_out_of_it():
    query, value, table = draw((6, 3), (6, 2), (25, 3))
    cut = table[12 - 5 : 12 + 6]
    out = relative_attention(query, value, cut)
    assert_close(relative_attention(query, value, table), out)
    gradient = jax.grad(lambda t: relative_attention(query, value, t).sum())(table)
    assert np.all(gradient[:7] == 0) and np.all(gradient[-7:] == 0)
    assert np.all(np.any(gradient[7:-7] != 0, axis=1))


def test_one_row_is_the_pixel_itself():
    query, value, table = draw((6, 3), (6, 2), (1, 3))
    assert_close(relative_attention(query, value, table), (query @ table.T) * value)


@few_examples
@hypothesis.given(st.integers(1, 8), st.integers(0, 9), st.integers(1, 3))
def test_relative_attention_of_any_size(length, reach, channels):
    shapes = (length, channels), (length, 2), (2 * reach + 1, channels)
    arrays = draw(*shapes, seed=length)
    expected = reference.relative_attention(*map(np.asarray, arrays))
    assert_close(relative_attention(*arrays), expected)


@pytest.mark.parametrize("rows", [0, 2, 8])
def test_an_even_table_is_refused(rows):
    query, value, table = draw((5, 4), (5, 3), (rows, 4))
    message = (
        "table must be [R, D] with R odd (distances -r..r, the middle row zero); "
        f"got ({rows}, 4)."
    )
    for call in (
        lambda: relative_attention(query, value, table),
        lambda: relative_weights(query, table),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            call()


# Softmax attention: masks, biases, shifts.


def test_rows_sum_to_one():
    query, key = draw((5, 4), (9, 4))
    weights = attention_weights(query, key)
    assert_close(weights.sum(axis=1), np.ones(5))
    assert np.all(weights > 0)


def test_masked_keys_have_no_effect():
    query, key, value, other_key, other_value = draw(
        (5, 4), (9, 4), (9, 3), (9, 4), (9, 3)
    )
    hidden = np.array([1, 4, 8])
    seen = np.setdiff1d(np.arange(9), hidden)
    mask = jnp.ones((5, 9), bool).at[:, hidden].set(False)
    out = attend(query, key, value, None, mask)
    key = key.at[hidden].set(1e3 * other_key[hidden])
    value = value.at[hidden].set(1e3 * other_value[hidden])
    assert np.array_equal(attend(query, key, value, None, mask), out)
    assert_close(attend(query, key[seen], value[seen]), out)
    assert np.all(attention_weights(query, key, None, mask)[:, hidden] == 0)
    gradients = jax.grad(
        lambda key, value: attend(query, key, value, None, mask).sum(), argnums=(0, 1)
    )(key, value)
    assert all(np.all(gradient[hidden] == 0) for gradient in gradients)


def test_a_query_that_sees_no_key_returns_zero_and_finite_gradients():
    query, key, value, bias = draw((5, 4), (9, 4), (9, 3), (5, 9))
    mask = jnp.ones((5, 9), bool).at[2].set(False)
    out = attend(query, key, value, bias, mask)
    assert np.all(out[2] == 0) and np.all(out[:2] != 0)
    gradients = jax.grad(
        lambda *arrays: jnp.square(attend(*arrays, mask)).sum(), argnums=(0, 1, 2, 3)
    )(query, key, value, bias)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.all(gradients[0][2] == 0) and np.all(gradients[3][2] == 0)


def test_constant_shifts_of_a_row_do_not_matter():
    query, key, bias, shift = draw((5, 4), (9, 4), (5, 9), (5, 1))
    weights = attention_weights(query, key, bias)
    shifted = attention_weights(query, key, bias + 10 * shift)
    assert_close(shifted, weights)
    # A shift of all keys by one vector moves the logits of a row alike.
    moved = attention_weights(query, key + key[:1], bias)
    assert_close(moved, weights)


def test_a_bias_multiplies_the_odds():
    query, key = draw((5, 4), (9, 4))
    bias = jnp.zeros((5, 9)).at[:, 3].set(np.log(2.0))
    plain, biased = attention_weights(query, key), attention_weights(query, key, bias)
    odds = (biased[:, 3] / biased[:, 0]) / (plain[:, 3] / plain[:, 0])
    assert_close(odds, np.full(5, 2.0))


def test_the_scale_is_one_over_the_root_of_the_channels():
    query, key = draw((5, 4), (9, 4))
    assert_close(
        attention_weights(query, key), attention_weights(query, key, scale=0.5)
    )
    assert_close(
        attention_weights(query, key, scale=1),
        attention_weights(2 * query, key),
    )
    assert_close(attention_weights(query, key, scale=0), np.full((5, 9), 1 / 9))


def test_large_logits_stay_finite():
    query, key, value = draw((5, 4), (9, 4), (9, 3))
    out = attend(1e4 * query, 1e4 * key, value)
    picked = value[np.argmax(np.asarray(query) @ np.asarray(key).T, axis=1)]
    assert_close(out, picked)
    gradients = jax.grad(lambda *arrays: attend(*arrays).sum(), argnums=(0, 1, 2))(
        1e4 * query, 1e4 * key, value
    )
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@few_examples
@hypothesis.given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 4))
def test_attend_of_any_size(queries, keys, channels):
    arrays = draw((queries, channels), (keys, channels), (keys, 3), seed=keys)
    expected = reference.attend(*map(np.asarray, arrays))
    assert_close(attend(*arrays), expected)
