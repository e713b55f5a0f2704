"""Batch norm against NumPy and PyTorch, and the convolution's padding and start."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.modules import BatchNorm, Functional
from gpsattn_jax.modules.layers import conv


def build(channels=3, **options):
    return Functional(lambda rngs: BatchNorm(channels, **options, rngs=rngs))


def batches(count=3, shape=(4, 5, 2, 3)):
    generator = np.random.default_rng(0)
    # Channels of different size and place.
    place, size = (
        generator.normal(0, 3, shape[-1]),
        generator.uniform(0.2, 4, shape[-1]),
    )
    return [
        (place + size * generator.standard_normal(shape)).astype(np.float32)
        for _ in range(count)
    ]


def shaken(network):
    params, state = network.init(jax.random.key(0))
    return {
        "scale": jnp.array([0.5, -1.0, 2.0]),
        "bias": jnp.array([1.0, 0, -3]),
    }, state


@pytest.mark.parametrize("momentum, epsilon", [(0.9, 1e-5), (0.5, 0.1)])
def test_training_and_evaluation_against_numpy(momentum, epsilon):
    network = build(momentum=momentum, epsilon=epsilon)
    params, state = shaken(network)
    step = jax.jit(functools.partial(network.apply, train=True))
    mean, var = np.zeros(3), np.ones(3)

    def expected(x, mean, var):
        normal = (x - mean) / np.sqrt(var + epsilon)
        return np.asarray(params["scale"]) * normal + np.asarray(params["bias"])

    for x in batches():
        flat = x.reshape(-1, 3).astype(np.float64)
        out, state = step(params, state, x)
        np.testing.assert_allclose(
            out, expected(x, flat.mean(0), flat.var(0)), rtol=1e-4, atol=1e-5
        )
        mean = momentum * mean + (1 - momentum) * flat.mean(0)
        var = momentum * var + (1 - momentum) * flat.var(0, ddof=1)
        np.testing.assert_allclose(state["mean"], mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(state["var"], var, rtol=1e-5, atol=1e-6)
    out, same = network.apply(params, state, x)
    np.testing.assert_allclose(out, expected(x, mean, var), rtol=1e-4, atol=1e-5)
    assert all(np.array_equal(same[name], state[name]) for name in state)


def test_running_variance_is_the_unbiased_one():
    """Few values show it: 4 values, so the two differ by a third."""
    x = np.array([[1.0], [2], [3], [6]], np.float32)
    network = build(1, momentum=0.0)
    _, state = network.apply(*network.init(jax.random.key(0)), x, train=True)
    np.testing.assert_allclose(state["var"], [14 / 3], rtol=1e-6)


def test_a_single_value_is_no_division_by_zero():
    network = build()
    out, state = network.apply(*shaken(network), jnp.ones((1, 3)), train=True)
    assert np.isfinite(out).all()
    assert all(np.isfinite(array).all() for array in state.values())


def test_as_in_torch(torch):
    norm = torch.nn.BatchNorm2d(3)
    network = build()
    params, state = shaken(network)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(np.array(params["scale"])))
        norm.bias.copy_(torch.tensor(np.array(params["bias"])))
    step = jax.jit(functools.partial(network.apply, train=True))
    for x in batches():
        out, state = step(params, state, x)
        theirs = norm(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        np.testing.assert_allclose(out, theirs.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state["mean"], norm.running_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state["var"], norm.running_var, rtol=1e-5, atol=1e-6)
    norm.eval()
    theirs = norm(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    out, _ = network.apply(params, state, x)
    np.testing.assert_allclose(out, theirs.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_gradients_go_through_the_statistics():
    network = build()
    params, state = shaken(network)
    x, weights = jnp.asarray(batches()[0]), jnp.asarray(batches(2)[1])

    @jax.jit
    @jax.grad
    def gradient(x):
        return (network.apply(params, state, x, train=True)[0] * weights).sum()

    # The output does not change when a channel is shifted or scaled.
    np.testing.assert_allclose(gradient(x).sum((0, 1, 2)), np.zeros(3), atol=1e-3)
    centred = x - x.mean((0, 1, 2), keepdims=True)
    moved = (gradient(x) * centred).sum((0, 1, 2))
    np.testing.assert_allclose(moved, np.zeros(3), atol=2e-3)


def test_statistics_of_bfloat16_are_kept_in_float32():
    x = jnp.asarray(100 + batches()[0], jnp.bfloat16)
    network = build()
    params, state = shaken(network)
    step = jax.jit(functools.partial(network.apply, train=True))
    out, narrow = step(params, state, x)
    assert out.dtype == jnp.bfloat16
    wide_out, wide = step(params, state, x.astype(jnp.float32))
    for name in ("mean", "var"):
        assert narrow[name].dtype == jnp.float32
        np.testing.assert_allclose(narrow[name], wide[name], rtol=1e-5)
    assert np.abs(out - wide_out).max() < 2**-7 * np.abs(wide_out).max()


def test_a_scale_of_zero_is_a_start():
    network = build(scale=0.0)
    params, state = network.init(jax.random.key(0))
    out, _ = network.apply(params, state, batches()[0], train=True)
    assert np.all(out == 0)


@pytest.mark.parametrize("size, stride", [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
def test_convolutions_are_aligned_as_in_torch(size, stride, torch):
    x = np.random.default_rng(0).standard_normal((2, 9, 8, 3)).astype(np.float32)
    layer = conv(3, 4, size, stride=stride, rngs=nnx.Rngs(0))
    assert layer.bias is None
    weight = torch.tensor(np.array(layer.kernel[...])).permute(3, 2, 0, 1)
    theirs = torch.nn.functional.conv2d(
        torch.tensor(x).permute(0, 3, 1, 2), weight, stride=stride, padding=size // 2
    )
    theirs = theirs.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(layer(x), theirs, rtol=1e-4, atol=1e-5)


def test_convolutions_start_by_fan_out():
    kernel = conv(16, 64, 3, rngs=nnx.Rngs(0)).kernel[...]
    expected = np.sqrt(2 / (64 * 9))
    np.testing.assert_allclose(kernel.std(), expected, rtol=0.05)
