"""Gradients that are taken by products are those of the plain forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.kernels import temporal_conv
from gpsattn_jax.kernels.row_sums import along_rows, sum_of_rows
from gpsattn_jax.modules.norms import BatchNorm, GroupNorm, LayerNorm
from gpsattn_jax.modules.temporal_conv import convolve


def _draw(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def test_along_rows_has_the_gradient_of_a_broadcast():
    vector, weights = _draw(5), _draw(7, 5, seed=1)
    value, found = jax.value_and_grad(lambda v: (along_rows(v, 7) * weights).sum())(
        vector
    )
    np.testing.assert_allclose(value, (vector[None] * weights).sum(), rtol=1e-5)
    np.testing.assert_allclose(found, weights.sum(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 5), (3, 7, 5)])
def test_sum_of_rows_is_the_plain_sum_and_so_are_its_derivatives(shape):
    x, weights = _draw(*shape), _draw(*shape[:-2], 5, seed=1)

    def loss(sums):
        return lambda x: (jnp.sin(sums(x)) * weights).sum()

    def plain(x):
        return x.sum(-2)

    np.testing.assert_allclose(sum_of_rows(x), plain(x), rtol=1e-5, atol=1e-6)
    for derive in (jax.grad, jax.jacfwd, jax.hessian):
        found, expected = (derive(loss(sums))(x) for sums in (sum_of_rows, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def _plain_batch_norm(x, scale, bias):
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias


def _plain_group_norm(x, scale, bias):
    mean, var = (f(x, (1, 2, 3), keepdims=True) for f in (jnp.mean, jnp.var))
    return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias


@pytest.mark.parametrize(
    ("make", "plain"),
    [(BatchNorm, _plain_batch_norm), (GroupNorm, _plain_group_norm)],
)
def test_norms_have_the_derivatives_of_the_plain_forms(make, plain):
    x, arrays = 3 + _draw(2, 3, 2, 4), (1 + _draw(4, seed=1), _draw(4, seed=2))

    def ours(x, scale, bias):
        norm = make(4, rngs=nnx.Rngs(0))
        norm.scale.set_value(scale)
        norm.bias.set_value(bias)
        return norm(x, train=True)

    def loss(norm):
        return lambda *arrays: jnp.sin(norm(*arrays)).sum()

    with jax.numpy_rank_promotion("allow"):
        for derive in (jax.grad, jax.jacfwd):
            expected, found = (
                derive(loss(norm), (0, 1, 2))(x, *arrays) for norm in (plain, ours)
            )
            for one, other in zip(expected, found, strict=True):
                np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
        expected, found = (
            jax.hessian(loss(norm))(x, *arrays) for norm in (plain, ours)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_sums_of_wide_rows_are_right():
    """JAX 0.10 on CPUs is wrong at a sum of more than 2,048 numbers after a product.

    That is where the product has examples in its one operand alone (see `launch`).
    """
    x = 1 + _draw(8, 49, 672)
    expected = np.asarray(x, np.float64).sum(1)
    found = jax.jit(lambda x: sum_of_rows(x).sum(-1))(x)
    np.testing.assert_allclose(found, expected.sum(-1), rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda v: (along_rows(v, 49) * x).sum()))(x[:, 0])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)
    norm = GroupNorm(672, rngs=nnx.Rngs(0))
    normed = jax.jit(lambda x: norm(x))(x.reshape(8, 7, 7, 672))
    np.testing.assert_allclose(normed.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(normed.std((1, 2, 3)), 1, atol=1e-4)


def test_layer_norm_is_that_of_flax():
    theirs = nnx.LayerNorm(6, epsilon=1e-6, use_fast_variance=False, rngs=nnx.Rngs(0))
    ours = LayerNorm(6, rngs=nnx.Rngs(0))
    for number, name in enumerate(("scale", "bias")):
        for norm in (theirs, ours):
            getattr(norm, name)[...] = _draw(6, seed=number)
    x = 3 + _draw(2, 3, 6, seed=2)

    def gradients(norm):
        graphdef, state = nnx.split(norm)

        def loss(arrays, x):
            return jnp.sin(nnx.merge(graphdef, arrays)(x)).sum()

        arrays, of_x = jax.grad(loss, argnums=(0, 1))(state, x)
        return {"x": of_x} | nnx.to_pure_dict(arrays)

    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    expected, found = gradients(theirs), gradients(ours)
    assert set(found) == {"x", "scale", "bias"}
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 4, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolve_has_the_gradients_of_the_kernel(size, stride):
    x, filters = _draw(2, 9, 3, 4), _draw(size, 4, seed=1)

    def plain(x, filters):
        def line(x):
            return temporal_conv(x, filters, stride=stride)

        return jax.vmap(jax.vmap(line, in_axes=1, out_axes=1))(x)

    def loss(function):
        return lambda *arrays: jnp.sin(function(*arrays)).sum()

    expected = jax.grad(loss(plain), (0, 1))(x, filters)
    found = jax.grad(loss(lambda *a: convolve(*a, stride)), (0, 1))(x, filters)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
