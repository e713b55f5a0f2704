"""A network as two pure functions: nothing hides in it, every transform takes it."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.modules import BatchNorm, Functional


class Toy(nnx.Module):
    """Linear, batch norm, dropout, a list of layers: what a network is made of."""

    def __init__(self, *, rngs):
        self.linear = nnx.Linear(3, 4, rngs=rngs)
        self.norm = BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5)
        self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])

    def __call__(self, x, shift=None, *, train=False, rngs=None):
        x = self.norm(self.linear(x), train=train)
        for layer in self.layers:
            x = layer(x)
        x = self.dropout(x, deterministic=not train, rngs=rngs)
        return x if shift is None else x + shift


@pytest.fixture
def network():
    return Functional(lambda rngs: Toy(rngs=rngs))


@pytest.fixture
def x():
    return jax.random.normal(jax.random.key(5), (8, 3))


def same(one, other):
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.array_equal(a, b) for a, b in leaves
    )


def is_plain(tree):
    if isinstance(tree, dict):
        return all(is_plain(branch) for branch in tree.values())
    return isinstance(tree, jax.Array)


def test_a_network_is_built_once(x):
    built = []
    network = Functional(lambda rngs: built.append(1) or Toy(rngs=rngs))
    network.apply(*network.init(jax.random.key(0)), x)
    assert jax.eval_shape(network.init, jax.random.key(1)) and network.shapes()
    assert len(built) == 1


def test_init_is_a_function_of_the_key(network):
    one, other = network.init(jax.random.key(0)), network.init(jax.random.key(1))
    assert same(one, network.init(jax.random.key(0)))
    assert not same(one, other)
    assert is_plain(one[0]) and is_plain(one[1])


def test_params_and_state_are_kept_apart(network):
    params, state = network.init(jax.random.key(0))
    assert set(params) == {"linear", "norm", "layers"}
    assert set(params["norm"]) == {"scale", "bias"}
    assert set(state) == {"norm"} and set(state["norm"]) == {"mean", "var"}


def test_shapes_are_those_of_init(network):
    abstract = network.shapes()
    concrete = network.init(jax.random.key(0))
    assert jax.tree.structure(abstract) == jax.tree.structure(concrete)
    for one, other in zip(
        jax.tree.leaves(abstract), jax.tree.leaves(concrete), strict=True
    ):
        assert isinstance(one, jax.ShapeDtypeStruct)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


@pytest.mark.parametrize("train", [False, True])
def test_apply_is_pure(network, x, train):
    params, state = network.init(jax.random.key(0))
    before = copy.deepcopy((params, state))
    rng = jax.random.key(7)
    out, new_state = network.apply(params, state, x, train=train, rng=rng)
    again, again_state = network.apply(params, state, x, train=train, rng=rng)
    assert same((params, state), before)
    assert same(out, again) and same(new_state, again_state)
    assert is_plain(new_state)
    assert jax.tree.structure(new_state) == jax.tree.structure(state)
    assert same(new_state, state) == (not train)


def test_dropout_draws_from_rng_in_training_alone(network, x):
    params, state = network.init(jax.random.key(0))
    apply = functools.partial(network.apply, params, state, x)
    one, _ = apply(train=True, rng=jax.random.key(1))
    other, _ = apply(train=True, rng=jax.random.key(2))
    assert 0 < (one == 0).mean() < 1
    assert not same(one, other)
    assert same(apply()[0], apply(rng=jax.random.key(1))[0])


def test_inputs_by_place_and_by_name(network, x):
    params, state = network.init(jax.random.key(0))
    plain, _ = network.apply(params, state, x)
    shift = jnp.ones((1, 4))
    for out in (
        network.apply(params, state, x, shift)[0],
        network.apply(params, state, x=x, shift=shift)[0],
    ):
        np.testing.assert_allclose(out, plain + 1, rtol=1e-6)


def test_jit(network, x):
    params, state = network.init(jax.random.key(0))
    rng = jax.random.key(3)
    step = jax.jit(functools.partial(network.apply, train=True))
    out, new_state = step(params, state, x, rng=rng)
    expected, expected_state = network.apply(params, state, x, train=True, rng=rng)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    for one, other in zip(
        jax.tree.leaves(new_state), jax.tree.leaves(expected_state), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_one_trace_serves_all_calls(x):
    calls = []

    class Counted(Toy):
        def __call__(self, *inputs, **options):
            calls.append(1)
            return super().__call__(*inputs, **options)

    network = Functional(lambda rngs: Counted(rngs=rngs))
    params, state = network.init(jax.random.key(0))
    step = jax.jit(functools.partial(network.apply, train=True, rng=jax.random.key(0)))
    for _ in range(3):
        _, state = step(params, state, x)
    assert len(calls) == 1


def test_grad(network, x):
    params, state = network.init(jax.random.key(0))

    @jax.jit
    def gradients(params):
        def objective(params):
            out, new_state = network.apply(params, state, x)
            return jnp.square(out).sum(), new_state

        return jax.grad(objective, has_aux=True)(params)

    gradient, new_state = gradients(params)
    assert same(new_state, state)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))


def test_vmap_over_networks(network, x):
    keys = jax.random.split(jax.random.key(0), 3)
    params, state = jax.vmap(network.init)(keys)
    out, _ = jax.vmap(network.apply, in_axes=(0, 0, None))(params, state, x)
    single, _ = network.apply(*network.init(keys[1]), x)
    np.testing.assert_allclose(out[1], single, rtol=1e-5, atol=1e-6)


def test_scan_carries_params_and_state(network, x):
    def step(carry, _):
        params, state = carry
        out, state = network.apply(params, state, x, train=True, rng=jax.random.key(0))
        return (params, state), out.sum()

    carry = network.init(jax.random.key(0))
    (_, state), outs = jax.jit(lambda c: jax.lax.scan(step, c, length=3))(carry)
    assert outs.shape == (3,)
    assert not same(state, carry[1])
