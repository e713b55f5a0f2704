"""Depthwise convolution and GELU against slow twins, XLA's own, and numbers."""

import contextlib
import functools
import math
import re

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from gpsattn_jax.kernels.depthwise import depthwise_conv
from gpsattn_jax.kernels.gelu import gelu
from gpsattn_jax.platforms import traced_for


def depthwise_twin(x, filters, *, stride=1, padding=None):
    """out_pq = sum_ij x_(p stride + i - padding)(q stride + j - padding) filter_ij."""
    size = filters.shape[-2]
    padding = size // 2 if padding is None else padding
    rows, columns = (
        (length + 2 * padding - size) // stride + 1 for length in x.shape[1:3]
    )
    out = np.zeros((len(x), rows, columns, x.shape[3]))
    for b, p, q, i, j in np.ndindex(len(x), rows, columns, size, size):
        row, column = p * stride + i - padding, q * stride + j - padding
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            own = filters if filters.ndim == 3 else filters[b]
            out[b, p, q] += x[b, row, column] * own[i, j]
    return out


def gelu_twin(x):
    """x Phi(x), by the error function; its derivative too."""
    cumulative = np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x.ravel()])
    density = np.exp(-0.5 * x.ravel() ** 2) / math.sqrt(2 * math.pi)
    slope = cumulative + x.ravel() * density
    return x * cumulative.reshape(x.shape), slope.reshape(x.shape)


def draw(x, size, *, each=False, seed=0, dtype=np.float32):
    """A map of the shape x and filters, shared or one set for each example."""
    generator = np.random.default_rng(seed)
    shape = (x[0],) * each + (size, size, x[3])
    return tuple(jnp.asarray(generator.normal(size=s), dtype) for s in (x, shape))


def grouped(x, filters, *, stride=1, padding=None):
    """XLA's grouped convolution, an example at a time."""
    size = filters.shape[-2]
    padding = size // 2 if padding is None else padding

    def one(image, own):
        return jax.lax.conv_general_dilated(
            image[None],
            own[:, :, None],
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=image.shape[-1],
        )[0]

    return jax.vmap(one, in_axes=(0, 0 if filters.ndim == 4 else None))(x, filters)


def assert_close(actual, expected, limit=1e-5):
    assert actual.shape == expected.shape
    expected = np.asarray(expected, np.float64)
    error = np.abs(np.asarray(actual, np.float64) - expected).max(initial=0)
    assert error <= limit * max(1.0, np.abs(expected).max(initial=0))


# H, W, K, stride, padding. Together: every kernel and stride of TransXNet, maps smaller
# than the filter, sides that the stride does not divide, one and many tiles, no
# padding, paddings wider than the filter, even filters.
CASES = [
    (5, 6, 1, 1, None),
    (7, 5, 1, 2, None),
    (4, 6, 3, 1, None),
    (9, 20, 3, 2, 0),
    (5, 7, 5, 1, 0),
    (10, 7, 5, 2, None),
    (3, 2, 7, 1, None),
    (17, 9, 7, 1, None),
    (21, 18, 7, 4, None),
    (4, 3, 11, 8, None),
    (33, 25, 11, 8, None),
    (6, 5, 3, 1, 4),
    (5, 5, 2, 3, 4),
    (13, 6, 4, 3, 1),
]


@pytest.mark.one_jax  # the twin and the finite differences below know no XLA
@pytest.mark.parametrize("each", [False, True], ids=["shared", "each"])
@pytest.mark.parametrize("height, width, size, stride, padding", CASES)
def test_the_convolution_and_its_gradients_are_those_of_xla(
    height, width, size, stride, padding, each
):
    x, filters = draw((2, height, width, 3), size, each=each)
    options = {"stride": stride, "padding": padding}
    ours, pull = jax.vjp(functools.partial(depthwise_conv, **options), x, filters)
    theirs, their_pull = jax.vjp(functools.partial(grouped, **options), x, filters)
    assert_close(ours, theirs)
    slope = jnp.cos(jnp.arange(ours.size, dtype=ours.dtype)).reshape(ours.shape)
    for gradient, expected in zip(pull(slope), their_pull(slope), strict=True):
        assert_close(gradient, expected)


@pytest.mark.parametrize("each", [False, True], ids=["shared", "each"])
@pytest.mark.parametrize("size, stride, padding", [(3, 1, None), (4, 3, 2), (5, 2, 0)])
def test_the_convolution_is_its_twin(size, stride, padding, each):
    x, filters = draw((2, 6, 7, 2), size, each=each)
    options = {"stride": stride, "padding": padding}
    expected = depthwise_twin(np.asarray(x), np.asarray(filters), **options)
    assert_close(depthwise_conv(x, filters, **options), expected)


@pytest.mark.parametrize("each", [False, True], ids=["shared", "each"])
@pytest.mark.parametrize("size, stride", [(3, 1), (5, 2)])
def test_gradients_in_double_precision(x64, size, stride, each):
    arrays = draw((2, 9, 5, 2), size, each=each, dtype=np.float64)
    convolve = functools.partial(depthwise_conv, stride=stride)
    assert convolve(*arrays).dtype == jnp.float64
    jax.test_util.check_grads(convolve, arrays, 1, ["rev"], atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize(
    "each, stride, size",
    [(False, 1, 3), (False, 2, 3), (True, 2, 3), (True, 1, 1)],
)
def test_what_other_processors_run(each, stride, size):
    """The forms for them agree with those of the CPU."""
    x, filters = draw((2, 9, 7, 3), size, each=each)

    def convolve(x, filters):
        out = depthwise_conv(x, filters, stride=stride)
        return jnp.sin(out).sum(), out

    found = {}
    for name in ("cpu", "tpu", None):
        with contextlib.nullcontext() if name is None else traced_for(name):
            gradient = jax.value_and_grad(convolve, (0, 1), has_aux=True)
            traced = jax.jit(gradient).trace(x, filters)
        program = str(traced.jaxpr)
        assert ("conv_general_dilated" in program) == (name != "cpu")
        assert ("platform_index" in program) == (name is None)
        found[name] = jax.tree.leaves(traced.lower().compile()(x, filters))
    for name in ("tpu", None):
        for ours, theirs in zip(found["cpu"], found[name], strict=True):
            assert_close(ours, theirs)


def test_filters_for_each_example_are_a_loop_over_examples():
    x, filters = draw((3, 6, 5, 2), 3, each=True)
    loop = [depthwise_conv(x[b : b + 1], filters[b])[0] for b in range(3)]
    assert_close(depthwise_conv(x, filters), jnp.stack(loop), 1e-6)
    same = jnp.broadcast_to(filters[:1], filters.shape)
    assert_close(depthwise_conv(x, same), depthwise_conv(x, filters[0]), 1e-6)


def test_vmap_over_odd_axes():
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, 5, 2, 2, 4, 3)), jnp.float32)
    filters = jnp.asarray(generator.normal(size=(3, 3, 3, 2)), jnp.float32)

    def norm(x, filters):
        return jnp.sum(depthwise_conv(x, filters) ** 3)

    def mapped(function):
        inner = jax.vmap(function, in_axes=(2, None))
        return jax.jit(jax.vmap(inner, in_axes=(3, 3)))

    gradients = mapped(jax.grad(norm, argnums=(0, 1)))(x, filters)
    for n in range(2):
        for m in range(2):
            one = x[:, :, :, n][:, :, m], filters[..., n]
            expected = jax.grad(norm, argnums=(0, 1))(*one)
            for gradient, wanted in zip(gradients, expected, strict=True):
                assert_close(gradient[n, m], wanted)


def test_bfloat16_keeps_its_sums_in_float32():
    x, filters = draw((2, 9, 8, 3), 7)
    x, filters = x.astype(jnp.bfloat16), filters.astype(jnp.bfloat16)
    wide = x.astype(jnp.float32), filters.astype(jnp.float32)
    out, pull = jax.vjp(depthwise_conv, x, filters)
    expected, wide_pull = jax.vjp(depthwise_conv, *wide)
    assert_close(out, expected, 2**-8)
    gradients = pull(out)
    assert [g.dtype for g in (out, *gradients)] == [jnp.bfloat16] * 3
    for gradient, wanted in zip(
        gradients, wide_pull(out.astype(jnp.float32)), strict=True
    ):
        assert_close(gradient, wanted, 2**-8)


ERRORS = {
    "rank": (
        (2, 5, 5, 3),
        (3, 3),
        None,
        "filters must be [K, K, C] or [B, K, K, C]; got (3, 3).",
    ),
    "channels": (
        (2, 5, 5, 3),
        (3, 3, 4),
        None,
        "filters must be [K, K, C=3]; got (3, 3, 4).",
    ),
    "examples": (
        (2, 5, 5, 3),
        (1, 3, 3, 3),
        None,
        "filters must be [B=2, K, K, C=3]; got (1, 3, 3, 3).",
    ),
    "map": ((5, 5, 3), (3, 3, 3), None, "x must be [B, H, W, C]; got (5, 5, 3)."),
    "small": (
        (2, 5, 4, 3),
        (7, 7, 3),
        1,
        "filters of 7 x 7 need a map of that size at the least; "
        "x with its padding is 7 x 6.",
    ),
}


@pytest.mark.parametrize("x, filters, padding, message", ERRORS.values(), ids=ERRORS)
def test_messages(x, filters, padding, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        depthwise_conv(jnp.zeros(x), jnp.zeros(filters), padding=padding)


# GELU.


def test_gelu_is_exact_to_two_millionths():
    x = np.linspace(-10, 10, 40001, dtype=np.float32)
    expected, slope = gelu_twin(x.astype(np.float64))
    out, pull = jax.vjp(gelu, x)
    assert np.abs(out - expected).max() < 2e-6
    assert np.abs(pull(np.ones_like(x))[0] - slope).max() < 1e-6
    near = np.abs(x) < 1
    assert np.abs(out - expected)[near].max() < 7e-7
    tangent = jax.jvp(gelu, (x,), (np.ones_like(x),))[1]
    assert np.abs(tangent - slope).max() < 1e-6


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_gelu_at_its_limits(wrap):
    large = np.array([5.2, 6, 50, 1e10, 3e38, np.inf], np.float32)
    assert np.array_equal(wrap(gelu)(large), large)
    assert np.all(np.asarray(wrap(gelu)(-large)) == 0)
    assert np.isnan(wrap(gelu)(np.float32(np.nan)))
    slope = wrap(jax.vmap(jax.grad(gelu)))
    assert np.array_equal(slope(large[2:]), np.ones(4))
    assert np.all(np.asarray(slope(-large[2:])) == 0)
    assert np.isnan(slope(np.full(1, np.nan, np.float32))[0])
    assert slope(np.zeros(1, np.float32))[0] == 0.5


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_gelu_of_narrow_floats_is_rounded_once(dtype):
    x = jnp.linspace(-4, 4, 101).astype(dtype)
    assert gelu(x).dtype == dtype
    assert jax.grad(lambda x: gelu(x).sum())(x).dtype == dtype
    assert np.array_equal(gelu(x), gelu(x.astype(jnp.float32)).astype(dtype))


def test_gelu_in_double_precision(x64):
    x = np.linspace(-10, 10, 1001)
    expected, slope = gelu_twin(x)
    assert np.abs(gelu(x) - expected).max() < 1e-14
    assert np.abs(jax.vmap(jax.grad(gelu))(x) - slope).max() < 1e-14
    some = jnp.asarray([-3.0, -0.5, 0.0, 2.0])
    jax.test_util.check_grads(gelu, (some,), 2, atol=1e-7, rtol=1e-7)
