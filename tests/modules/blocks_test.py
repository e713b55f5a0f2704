"""Blocks held as one module are the same blocks, one after the other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.modules import BatchNorm, Functional
from gpsattn_jax.modules.blocks import Blocks
from gpsattn_jax.stacks import by_name, unstack

WIDTHS = ((4, 4), (4, 4), (4, 4), (4, 6), (6, 6), (6, 6))


class Block(nnx.Module):
    """Linear, batch norm, dropout: what a block is made of."""

    def __init__(self, before, width, *, rngs):
        self.linear = nnx.Linear(before, width, rngs=rngs)
        self.norm = BatchNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(0.5)

    def __call__(self, x, shift, factor=1.0, *, train=False, rngs=None):
        x = jnp.tanh(self.norm(self.linear(x), train=train)) * factor + shift
        return self.dropout(x, deterministic=rngs is None, rngs=rngs)


class Chain(nnx.Module):
    """All of them; by themselves if `single`."""

    def __init__(self, single=False, remat=False, unroll=1, *, rngs):
        self.blocks = Blocks(Block, WIDTHS, unroll=unroll, rngs=rngs)
        self.single, self.remat = single, remat

    def __call__(self, x, *, train=False, rngs=None):
        factors, shift = 1 + jnp.arange(len(WIDTHS)) / 10, jnp.asarray(0.1)
        if self.single:
            blocks = list(self.blocks)
            for block, factor in zip(blocks, factors, strict=True):
                x = block(x, shift, factor, train=train, rngs=rngs)
            self.blocks.keep_statistics(blocks)
            return x
        for stack in self.blocks.stacks():
            own = factors[stack.numbers.start : stack.numbers.stop]
            how = {"train": train, "rngs": rngs, "remat": self.remat}
            x = stack(x, shift, each=own, **how)
        return x


def chain(**options):
    return Functional(lambda rngs: Chain(**options, rngs=rngs))


@pytest.fixture
def x():
    return jax.random.normal(jax.random.key(5), (8, 4))


def step(network, params, state, x, **how):
    def objective(params):
        out, after = network.apply(params, state, x, train=True, **how)
        return jnp.sin(out).sum(), (out, after)

    return jax.jit(jax.grad(objective, has_aux=True))(params)


def test_neighbours_that_are_alike_share_arrays():
    params, state = chain().shapes()
    shapes = {name: leaf.shape for name, leaf in by_name(params).items()}
    assert set(params["blocks"]) == set(state["blocks"]) == {"0-2", "3-3", "4-5"}
    assert shapes["blocks/0-2/linear/kernel"] == (3, 4, 4)
    assert shapes["blocks/3-3/linear/kernel"] == (1, 4, 6)
    assert shapes["blocks/4-5/norm/scale"] == (2, 6)


@pytest.mark.parametrize("how", [{}, {"remat": True}, {"unroll": 2}], ids=str)
def test_stacked_training_is_that_of_the_blocks_one_by_one(x, how):
    params, state = chain().init(jax.random.key(0))
    found = step(chain(**how), params, state, x)
    wanted = step(chain(single=True), params, state, x)
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6 * largest),
        found, wanted,
    )  # fmt: skip
    _, (_, after) = found
    changed = jax.tree.map(lambda a, b: bool(jnp.all(a != b)), after, state)
    assert all(jax.tree.leaves(changed))


def test_single_blocks_are_those_of_the_chain(x):
    network = chain()
    params, state = network.init(jax.random.key(0))
    blocks = nnx.merge(network.graphdef, params, state).blocks
    assert len(blocks) == len(list(blocks)) == len(WIDTHS)
    looped = list(blocks)
    for number in (0, 2, 3, -1):
        own = nnx.to_pure_dict(nnx.state(blocks[number], nnx.Param))
        wanted = unstack(params)["blocks"][number % len(WIDTHS)]
        jax.tree.map(np.testing.assert_array_equal, own, wanted)
        other = nnx.to_pure_dict(nnx.state(looped[number], nnx.Param))
        jax.tree.map(np.testing.assert_array_equal, other, wanted)
    with pytest.raises(IndexError):
        blocks[len(WIDTHS)]


def test_few_blocks_are_no_loop(x):
    params, state = chain().shapes()
    loops = []
    for unroll in (1, 2, 3):
        run = functools.partial(step, chain(unroll=unroll))
        loops.append(jax.jit(run).lower(params, state, x).as_text().count("while"))
    assert loops[0] > loops[1] > loops[2] == 0


def test_every_block_starts_by_itself():
    """From draws of its own, of the spread that one block has."""
    params, _ = Functional(lambda rngs: Blocks(Block, [(64, 64)] * 5, rngs=rngs)).init(
        jax.random.key(0)
    )
    kernels = np.asarray(params["0-4"]["linear"]["kernel"])
    for kernel in kernels:  # LeCun's: a variance of 1 / 64
        np.testing.assert_allclose(kernel.std(), 1 / 8, rtol=0.05)
    across = np.corrcoef(kernels.reshape(5, -1)) - np.eye(5)
    assert np.abs(across).max() < 0.1


def test_every_block_drops_by_itself():
    class Drop(nnx.Module):
        def __init__(self, *, rngs):
            self.dropout = nnx.Dropout(0.5)

        def __call__(self, x, *, train=False, rngs=None):
            return x + self.dropout(jnp.ones_like(x), deterministic=False, rngs=rngs)

    module = Blocks(Drop, [()] * 3, rngs=nnx.Rngs(0))
    (stack,) = module.stacks()
    found = {}
    for seed in (1, 1, 2):
        out = stack(jnp.zeros(4000), train=True, rngs=nnx.Rngs(dropout=seed))
        found.setdefault(seed, []).append(np.asarray(out))
    np.testing.assert_array_equal(*found[1])
    assert (found[1][0] != found[2][0]).mean() > 0.3
    # Of three fair coins with a prize of two: 0, 2, 4, 6. One draw would give 0 or 6.
    counts = [(found[1][0] == 2 * n).mean() for n in range(4)]
    np.testing.assert_allclose(counts, [1 / 8, 3 / 8, 3 / 8, 1 / 8], atol=0.04)
