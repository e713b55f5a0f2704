"""Attention around any kernel: against its heads one by one; what it refuses."""

import re

import jax
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.kernels import attend, content_attention
from gpsattn_jax.modules import Functional
from gpsattn_jax.modules.attention import MultiHeadAttention
from tests.kernels import reference


def build(channels=6, num_heads=2, **options):
    def make(rngs):
        return MultiHeadAttention(channels, num_heads, **options, rngs=rngs)

    return Functional(make)


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


@pytest.mark.parametrize("kernel", [attend, content_attention])
@pytest.mark.parametrize("places", [(5,), (3, 4)])
def test_heads_one_by_one(kernel, places):
    network = build(kernel=kernel)
    params, state = network.init(jax.random.key(0))
    x = draw(2, *places, 6)
    out, _ = jax.jit(network.apply)(params, state, x)
    assert out.shape == x.shape
    twin, weights = (
        getattr(reference, kernel.__name__),
        jax.tree.map(np.float64, params),
    )
    for flat, found in zip(x.reshape(2, -1, 6), out.reshape(2, -1, 6), strict=True):
        expected = np.zeros(flat.shape)
        for head in range(2):
            parts = (
                flat @ weights[name]["kernel"][:, head]
                for name in ("query", "key", "value")
            )
            expected += twin(*parts) @ weights["out"]["kernel"][head]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads must be at least 1; got 0."),
        ({"num_heads": 4}, "channels must be a multiple of num_heads=4; got 6."),
        ({"channels": 0}, "channels must be a multiple of num_heads=2; got 0."),
    ],
)
def test_what_does_not_fit(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MultiHeadAttention(
            **{"channels": 6, "num_heads": 2} | options, rngs=nnx.Rngs(0)
        )
