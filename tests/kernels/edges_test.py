"""The edges of every kernel: empty axes, integers, small numbers, NaN behind masks."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import kernels
from gpsattn_jax.kernels import (
    attend,
    attend_blocked,
    attention_weights,
    channel_attention,
    channel_weights,
    depthwise_conv,
    no_bias,
)
from tests.kernels.rows import KERNELS, cast, quick_jit, shape_of

each_kernel = pytest.mark.parametrize("row", KERNELS.values(), ids=KERNELS.keys())

# An axis of size zero that is refused, by the kernel's name: what it must have.
REFUSED = {
    "adaptive_average_pool": "HW",
    "depthwise_conv": "HWK",
    "relative_attention": "R",
    "relative_weights": "R",
    "axial_attention": "R",
    "position_sensitive_attention": "R",
    "resize_bicubic": "TS",
    "temporal_conv": "K",
}


def letters(row):
    """The axes of a row that have a letter, each once."""
    words = " ".join(axes.rstrip("?") for axes in row.arguments.values()).split()
    return [word for word in dict.fromkeys(words) if not word.isdigit()]


@pytest.mark.parametrize("name", KERNELS)
def test_empty_axes(name):
    """An empty result, zeros where a sum is over nothing, or a ValueError."""
    row, refused = KERNELS[name], REFUSED.get(name.split()[0], "")
    for letter in letters(row):
        arrays = [
            jnp.ones(
                shape_of(axes.rstrip("?"), {letter: 0}), bool if "?" in axes else float
            )
            for axes in row.arguments.values()
        ]
        # With zeros around it a map without pixels is as large as the filter.
        padded = letter in "HW" and row.options.get("padding", 0) > 1
        if letter in refused and not padded:
            with pytest.raises(ValueError, match="must be|at least|need a map"):
                row(*arrays)
            continue
        out = quick_jit(row.__call__)(*arrays)
        if letter in row.out.split():
            assert out.shape == row.shape(**{letter: 0})
        assert np.isfinite(out).all()


@pytest.mark.parametrize("name", ["attend", "attend_blocked", "content_attention"])
def test_nobody_to_see_is_zero(name):
    row = KERNELS[name]
    out = row(*row.make(S=0))
    assert out.shape == row.shape() and not np.any(out)


# Kernels that move numbers and compute none keep their dtype.
MOVED = {"split_segments", "join_segments", "geodesic_bias", "grid_bias"}


# A learned bias of integers is refused, see below.
@pytest.mark.parametrize("name", [n for n in KERNELS if "learned" not in n])
def test_integers_are_computed_in_float32(name):
    row = KERNELS[name]
    arrays = row.make(draw=lambda generator, size: generator.integers(-3, 9, size))
    for dtype in ("int32", "uint8"):
        whole = cast([a if a.dtype == bool else abs(a) for a in arrays], dtype)
        out, expected = quick_jit(
            lambda arrays: (row(*arrays), row(*cast(arrays, np.float32)))
        )(whole)
        assert out.dtype == (dtype if name.split()[0] in MOVED else np.float32)
        chex.assert_trees_all_close(out, expected.astype(out.dtype), rtol=1e-6)


SMALL_NUMBERS = {
    "stride of temporal_conv": (
        lambda: kernels.temporal_conv(jnp.ones((5, 2)), jnp.ones((3, 2)), stride=0),
        "stride must be at least 1; got 0.",
    ),
    "stride of depthwise_conv": (
        lambda: depthwise_conv(jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2)), stride=0),
        "stride must be at least 1; got 0.",
    ),
    "padding": (
        lambda: depthwise_conv(jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2)), padding=-1),
        "padding must be at least 0; got -1.",
    ),
    "tile_bytes": (
        lambda: kernels.axial_attention(
            jnp.ones((1, 5, 2)), jnp.ones((1, 5, 2)), jnp.ones((3, 2)), tile_bytes=0
        ),
        "tile_bytes must be at least 1; got 0.",
    ),
    "size": (
        lambda: kernels.adaptive_average_pool(jnp.ones((5, 5, 2)), 0),
        "size must be at least 1; got 0.",
    ),
    "num_segments": (
        lambda: kernels.split_segments(jnp.ones((5, 2)), 5, 0),
        "num_segments must be at least 1; got 0.",
    ),
}


@pytest.mark.parametrize("call, message", SMALL_NUMBERS.values(), ids=SMALL_NUMBERS)
def test_numbers_that_are_too_small(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


# A mask in the place of a bias.


def heads(queries=5, keys=7):
    draw = np.random.default_rng(0)
    shapes = (queries, 4), (keys, 4), (keys, 3)
    return [jnp.asarray(draw.standard_normal(s, np.float32)) for s in shapes]


def test_a_boolean_bias_is_refused():
    query, key, value = heads()
    mask = jnp.ones((5, 7), bool)
    message = (
        "bias must be numbers, which are added to the logits; got booleans. "
        "Give a mask by name: mask=…."
    )
    for call in (
        lambda: attend(query, key, value, mask),
        lambda: attention_weights(query, key, mask),
        lambda: jax.vmap(lambda value: attend(query, key, value, mask))(value[None]),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            call()
    message = message.replace("bias", "what bias_of returns", 1)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        attend_blocked(query, key, value, lambda rows, columns, _: rows >= columns, 7)


def test_a_mask_of_numbers_is_refused():
    query, key, value = heads()
    places = jnp.ones(7)
    for call in (
        lambda: attend(query, key, value, None, jnp.ones((5, 7))),
        lambda: channel_weights(key, value, jnp.float32(1), places),
    ):
        with pytest.raises(ValueError, match=r"^mask must be boolean; got float32\.$"):
            call()


# What a mask hides has no influence, whatever stands there.


def value_and_gradients(function, arrays):
    """The result, then the gradients of its sum of squares."""

    def objective(arrays):
        out = function(*arrays)
        return jnp.square(out).sum(), out

    gradients, out = quick_jit(jax.grad(objective, has_aux=True))(arrays)
    return [out, *gradients]


def assert_same(function, clean, spoilt):
    found = value_and_gradients(function, spoilt)
    for one, other in zip(value_and_gradients(function, clean), found, strict=True):
        chex.assert_tree_all_finite(other)
        chex.assert_trees_all_close(one, other, rtol=1e-6, atol=1e-6)


BAD = (np.nan, np.inf)


@pytest.mark.parametrize("bad", BAD)
def test_hidden_keys_and_values_of_attend(bad):
    query, key, value = heads()
    bias = jnp.zeros((5, 7))
    mask = jnp.ones((5, 7), bool).at[:, 4:].set(False).at[2].set(False)
    spoilt = [query.at[2].set(bad), key.at[4:].set(bad), value.at[4:].set(bad)]
    for added in (None, bias):
        assert_same(
            lambda q, k, v, added=added: attend(q, k, v, added, mask),
            [query, key, value],
            spoilt,
        )
    assert_same(
        lambda q, k: attention_weights(q, k, None, mask), [query, key], spoilt[:2]
    )


@pytest.mark.parametrize("bad", BAD)
def test_a_key_hidden_from_some_queries_spoils_the_others_alone(bad):
    query, key, value = heads(7)
    causal = jnp.tril(jnp.ones((7, 7), bool))
    clean = attend(query, key, value, None, causal)
    spoilt = attend(query, key.at[6].set(bad), value.at[6].set(bad), None, causal)
    chex.assert_trees_all_close(spoilt[:6], clean[:6], rtol=1e-6)
    assert not np.isfinite(spoilt[6]).any()


@pytest.mark.parametrize("bad", BAD)
def test_hidden_keys_and_values_of_attend_blocked(bad):
    query, key, value = heads()
    assert_same(
        lambda q, k, v: attend_blocked(q, k, v, no_bias, 4, block=2),
        [query, key, value],
        [query, key.at[4:].set(bad), value.at[4:].set(bad)],
    )


@pytest.mark.parametrize("bad", BAD)
def test_hidden_places_of_channels(bad):
    _, key, value = heads()
    mask = jnp.arange(7) < 4
    spoilt = [array.at[4:].set(bad) for array in (key, value, value)]
    assert_same(
        lambda q, k, v: channel_attention(q, k, v, jnp.float32(1), mask),
        [key, value, value],
        spoilt,
    )
    assert_same(
        lambda q, k: channel_weights(q, k, jnp.float32(1), mask),
        [key, value],
        spoilt[:2],
    )


@pytest.mark.parametrize("bad", BAD)
def test_padding_of_segments(bad):
    x = jnp.arange(20.0).reshape(10, 2)

    def there_and_back(x):
        segments = kernels.split_segments(x, 7, 3)
        return kernels.join_segments(segments, 7, 10)[:7]

    assert_same(there_and_back, [x], [x.at[7:].set(bad)])


def test_minus_infinity_in_a_bias_hides_like_a_mask():
    """Rows of it give zeros and no NaN, in all kernels that take a bias."""
    query, key, value = heads()
    mask = jnp.ones((5, 7), bool).at[1, 3:].set(False).at[3].set(False)
    bias = jnp.where(mask, 0.5, -jnp.inf)

    def bias_of(rows, columns, length):
        hidden = ((rows == 1) & (columns >= 3)) | (rows == 3)
        return jnp.where(hidden, -jnp.inf, 0.5)

    expected = value_and_gradients(
        lambda q, k, v: attend(q, k, v, None, mask), [query, key, value]
    )
    assert not expected[0][3].any() and expected[0][1].any()
    for function in (
        lambda q, k, v: attend(q, k, v, bias),
        lambda q, k, v: attend_blocked(q, k, v, bias_of, 7, block=2),
        # Behind hidden keys nothing must take the place of those that -inf hides.
        lambda q, k, v: attend_blocked(
            q, *(jnp.pad(a, ((0, 2), (0, 0)), constant_values=9) for a in (k, v)),
            bias_of, 7, block=2,
        ),
    ):  # fmt: skip
        found = value_and_gradients(function, [query, key, value])
        chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)
    table_grad = jax.grad(lambda b: attend(query, key, value, b).sum())(bias)
    chex.assert_tree_all_finite(table_grad)


# Half precision, and the ways to differentiate.


@pytest.mark.parametrize("scale", [None, 1.0, 256.0])
def test_float16_in_blocks_overflows_no_sooner_than_at_once(scale):
    """Neither does: products and their factor are float32.

    Whole numbers, and powers of two as factors, leave nothing to round in scores of
    millions: a sum in another order would move weights by tens of per cent.
    """
    draw = np.random.default_rng(0)
    query, key, value = (
        jnp.asarray(np.rint(40 * draw.standard_normal(s)), jnp.float16)
        for s in ((5, 64), (7, 64), (7, 3))
    )

    def objective(arrays, function):
        out = function(*arrays).astype(np.float32)
        return (out * jnp.linspace(-50, 50, 15).reshape(5, 3)).sum(), out

    found = [
        quick_jit(
            jax.grad(functools.partial(objective, function=function), has_aux=True)
        )((query, key, value))
        for function in (
            lambda q, k, v: attend(q, k, v, scale=scale),
            lambda q, k, v: attend_blocked(q, k, v, no_bias, 7, block=2, scale=scale),
        )
    ]
    chex.assert_tree_all_finite(found)
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        size = np.abs(one).max()
        assert np.abs(np.float32(one) - np.float32(other)).max() <= 2e-3 * size + 1e-6


REVERSE_ONLY = {
    "attend_blocked": KERNELS["attend_blocked"],
    "depthwise_conv": KERNELS["depthwise_conv"],
}


@pytest.mark.parametrize("row", REVERSE_ONLY.values(), ids=REVERSE_ONLY)
def test_rules_of_our_own_are_of_reverse_mode_as_documented(row, x64):
    arrays = row.make()
    first, *others = arrays

    def squares(x):
        return jnp.square(row(x, *others)).sum()

    for forward in (
        lambda: jax.jvp(squares, (first,), (first,)),
        lambda: jax.linearize(squares, first)[1](first),
        lambda: jax.jacfwd(squares)(first),
    ):
        with pytest.raises(TypeError, match="forward-mode"):
            forward()
    documented = " ".join(row.kernel.__doc__.split())
    assert "forward mode first (`jvp`, `linearize`, `jacfwd`) raises" in documented
    # A gradient's change along a direction, in both modes and as a difference.
    gradient, step = jax.grad(squares), 1e-5

    @quick_jit
    def along(x):
        _, forwards = jax.jvp(gradient, (x,), (first,))
        backwards = jax.grad(lambda x: jnp.vdot(gradient(x), first))(x)
        ahead, behind = (gradient(x + s * first) for s in (step, -step))
        return forwards, backwards, (ahead - behind) / (2 * step)

    forwards, backwards, difference = along(first)
    chex.assert_trees_all_close(forwards, backwards, rtol=1e-9, atol=1e-9)
    chex.assert_trees_all_close(forwards, difference, rtol=1e-5, atol=1e-6)


FORWARD = {
    name: row
    for name, row in KERNELS.items()
    if name.split()[0] not in REVERSE_ONLY and not name.endswith("in parts")
}


@pytest.mark.parametrize("row", FORWARD.values(), ids=FORWARD)
def test_the_others_can_be_differentiated_forwards(row, x64):
    """A product of the Jacobian with a direction, against a difference of results."""
    arrays = row.make()
    steps = [0 * a if a.dtype == bool else jnp.cos(a) for a in arrays]
    floats = row.differentiable

    def along(t):
        moved = [
            a + t * s if a.dtype != bool else a
            for a, s in zip(arrays, steps, strict=True)
        ]
        return row(*moved)

    assert floats

    @quick_jit
    def both(step):
        _, tangent = jax.jvp(along, (0.0,), (1.0,))
        return tangent, (along(step) - along(-step)) / (2 * step)

    tangent, difference = both(1e-6)
    chex.assert_trees_all_close(tangent, difference, rtol=1e-5, atol=1e-7)


# A bias that is learned.


def test_functions_that_close_over_traced_arrays_are_refused():
    query, key, value = heads()

    def of_a_table(table):
        def bias_of(rows, columns, length):
            return table[jnp.abs(rows - columns)]

        return attend_blocked(query, key, value, bias_of, 7).sum()

    def of_factors(table):
        def factor_of(data, head, rows, columns):
            return table[jnp.abs(rows - columns)]

        out = attend_blocked(query, key, value, no_bias, 7, factor_of=factor_of)
        return out.sum()

    for transform in (jax.grad, jax.jit):
        for name, function in (("bias", of_a_table), ("factor", of_factors)):
            message = f"{name}_of must not close over traced arrays, .* as {name}_data"
            with pytest.raises(ValueError, match=message):
                transform(function)(jnp.ones(7))
    of_a_table(jnp.ones(7))  # an array that is no tracer is a constant


def test_a_learned_bias_needs_floating_point():
    query, key, value = heads()
    with pytest.raises(ValueError, match=r"^bias_data must be floating point; got int"):
        attend_blocked(
            query, key, value, lambda data, r, c, n: data[r - c], 7,
            bias_data=jnp.arange(7),
        )  # fmt: skip
