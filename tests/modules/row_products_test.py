"""Gradients that are taken by products are those of the plain forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.kernels import temporal_conv
from gpsattn_jax.kernels.row_sums import along_rows
from gpsattn_jax.modules.norms import LayerNorm
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
