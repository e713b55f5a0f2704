"""A stack of blocks trains as its blocks would, each by itself; older runs go on."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gpsattn_jax.stacks import by_name, stack, unstack
from gpsattn_jax.training import Machine, TrainConfig
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.optimizers import decay_mask, make_optimizer
from gpsattn_jax.training.sharding import RULES, Placement, place
from gpsattn_jax.training.state import TrainState, init_state
from gpsattn_jax.training.step import train_step

LAYERS = ("stem", r"blocks/(\d+)/", "head")
SHAPES = {
    "stem": {"kernel": (3, 4)},
    "blocks": {
        "0-2": {"query": {"kernel": (3, 4, 2, 2)}, "bias": (3, 4)},
        "3-3": {"query": {"kernel": (1, 4, 2, 2)}, "bias": (1, 4)},
    },
    "head": {"bias": (4,)},
}
PLAIN = {"warmup_steps": 0, "schedule": "constant", "num_steps": 100}


def made(seed, scale=1.0):
    draw = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: jnp.asarray(scale * draw.normal(size=shape), jnp.float32),
        SHAPES,
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )


def changed(config, params, change, steps=3):
    optimizer = make_optimizer(config, LAYERS)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for number in range(steps):
        updates, state = update(change(made(number + 1)), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize("decayed", ["kernels", "matrices", "all"])
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "lamb"])
def test_optimizers_see_blocks(name, decayed):
    """Rates by layer, decay by shape, trust ratios: as without stacks."""
    config = TrainConfig(
        optimizer=name, weight_decay=0.3, decayed=decayed, learning_rate=0.02,
        layer_decay=0.5, clip_norm=0.7, **PLAIN,
    )  # fmt: skip
    params, _ = changed(config, made(0), lambda grads: grads)
    wanted, _ = changed(config, unstack(made(0)), unstack)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6),
        unstack(params), wanted,
    )  # fmt: skip


def test_lamb_without_stacks_is_optax_s():
    config = TrainConfig(optimizer="lamb", weight_decay=0.3, decayed="all", **PLAIN)
    config = dataclasses.replace(config, clip_norm=0)
    params = unstack(made(0))
    found, state = changed(config, params, unstack, steps=2)
    theirs = optax.lamb(config.learning_rate, b2=config.beta2, weight_decay=0.3)
    moments = theirs.init(params)
    for number in range(2):
        grads = unstack(made(number + 1))
        updates, moments = theirs.update(grads, moments, params)
        params = optax.apply_updates(params, updates)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5), found, params
    )
    # So that older runs go on.
    assert jax.tree.structure(state[1][0]) == jax.tree.structure(moments[0])


def test_biases_of_a_stack_are_no_matrices():
    mask = decay_mask(made(0), "matrices")
    assert mask["blocks"]["0-2"]["query"]["kernel"] and mask["stem"]["kernel"]
    assert not mask["blocks"]["0-2"]["bias"]
    scale = {"blocks": {"0-2": {"scale": jnp.ones((3, 4))}}, "scale": jnp.ones((3, 4))}
    assert decay_mask(scale, "matrices") == {
        "blocks": {"0-2": {"scale": False}}, "scale": True,
    }  # fmt: skip


class Sums:
    """A network whose outputs every array moves; its statistics count the steps."""

    def init(self, key):
        del key
        state = {"blocks": {"0-2": {"mean": jnp.zeros((3, 2))}}}
        return made(0, 0.3), state

    def apply(self, params, state, x, *, train=False, rng=None):
        total = sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(params))
        return x * total, jax.tree.map(lambda leaf: leaf + 1, state)


def loss(outputs, targets):
    value = jnp.square(outputs - targets).mean()
    return value, {"loss": value}


@pytest.mark.parametrize("name", ["adamw", "sgd", "lamb"])
def test_a_part_of_a_stack_is_frozen(name):
    config = TrainConfig(
        optimizer=name, weight_decay=0.1, decayed="all", batch_size=2,
        frozen=("stem|blocks/[01]/",), **PLAIN,
    )  # fmt: skip
    optimizer = make_optimizer(config)
    start = init_state(Sums(), optimizer, jax.random.key(0))
    step = jax.jit(
        functools.partial(
            train_step, network=Sums(), loss=loss, optimizer=optimizer, config=config
        )
    )
    batch, end = {"inputs": {"x": jnp.ones(2)}, "targets": jnp.zeros(2)}, start
    for _ in range(2):
        end, _ = step(end, batch, jax.random.key(0))
    before, after = by_name(unstack(start.params)), by_name(unstack(end.params))
    for path in before:
        frozen = path.startswith(("stem", "blocks/0/", "blocks/1/"))
        same = np.array_equal(before[path], after[path])
        assert same == frozen, path
    mean = end.model_state["blocks"]["0-2"]["mean"]
    assert mean.tolist() == [[0, 0], [0, 0], [2, 2]]
    for nothing in ("blocks/7/", "blocks/0-2/"):
        unknown = dataclasses.replace(config, frozen=(nothing,))
        with pytest.raises(ValueError, match=f"got '{nothing}'"):
            make_optimizer(unknown).init(start.params)


def test_blocks_are_never_split():
    """The longest axis and heads are those of a block; 1 device divides everything."""
    mesh = place(Machine()).mesh
    params = {
        "blocks": {"0-7": {"out": {"kernel": np.zeros((8, 2, 2, 4))},
                           "conv": {"kernel": np.zeros((8, 3, 4))},
                           "query": {"kernel": np.zeros((8, 4, 2, 2))}}},
        "conv": {"kernel": np.zeros((8, 3, 4))},
    }  # fmt: skip
    found = by_name(Placement(mesh, RULES["fsdp"]).shardings(params))
    specs = {name: tuple(sharding.spec) for name, sharding in found.items()}
    assert specs["conv/kernel"] == ("data", None, None)
    assert specs["blocks/0-7/conv/kernel"] == (None, None, "data")
    assert specs["blocks/0-7/query/kernel"][:2] == (None, "data")
    assert all(spec[0] is None for name, spec in specs.items() if "0-7" in name)


def old_run(config, folder, steps=2):
    """A run as it was before: (its state, by block), saved; its shapes now."""
    optimizer = make_optimizer(config, LAYERS)
    params, moments = changed(config, unstack(made(0)), unstack, steps)
    model = unstack(Sums().init(None)[1])
    ema = {"params": params, "model_state": model}
    state = TrainState(jnp.int32(steps), params, model, moments, ema)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(state, position={"step": steps}, metadata={"of": "old"})
    target = jax.eval_shape(
        lambda: init_state(Sums(), optimizer, jax.random.key(0), averaged=True)
    )
    return state, place(Machine()).shapes(target)


@pytest.mark.parametrize("frozen", [(), ("stem", "blocks/[01]/")])
def test_an_older_run_goes_on(tmp_path, frozen):
    """It has an array for each block; parameters, moments, averages find stacks."""
    config = TrainConfig(optimizer="adamw", frozen=frozen, layer_decay=0.5, **PLAIN)
    state, target = old_run(config, tmp_path / "old")
    with Checkpoints(tmp_path / "old", read_only=True) as checkpoints:
        found, position = checkpoints.restore(2, target)
        weights = checkpoints.restore_weights(2, target.params, target.model_state)
        averages = checkpoints.restore_weights(
            2, target.params, target.model_state, averaged=True
        )
    assert position == {"step": 2}
    assert jax.tree.structure(found) == jax.tree.structure(target)
    for leaf, wanted in zip(
        jax.tree.leaves(found[1:]), jax.tree.leaves(target[1:]), strict=True
    ):
        assert leaf.sharding == wanted.sharding
    for tree in (found.params, weights[0], averages[0]):
        jax.tree.map(np.testing.assert_array_equal, unstack(tree), state.params)
    moments, wanted = by_name(unstack(found.opt_state)), by_name(state.opt_state)
    assert wanted.keys() <= moments.keys()
    for name, leaf in moments.items():
        np.testing.assert_array_equal(leaf, wanted.get(name, np.zeros(leaf.shape)))
    # The next step is the one that the old run would have taken.
    optimizer, grads = make_optimizer(config, LAYERS), made(9)
    new, _ = optimizer.update(grads, found.opt_state, found.params)
    old, _ = optimizer.update(unstack(grads), state.opt_state, state.params)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5), unstack(new), old
    )


def test_an_older_run_of_another_depth_is_refused(tmp_path):
    _, target = old_run(TrainConfig(**PLAIN), tmp_path / "old")
    deeper = {"blocks": {"0-4": {"mean": jax.ShapeDtypeStruct((5, 2), jnp.float32)}}}
    with (
        Checkpoints(tmp_path / "old", read_only=True) as checkpoints,
        pytest.raises(ValueError, match="does not fit this network"),
    ):
        checkpoints.restore_weights(2, target.params, deeper)


def test_a_stack_comes_back_as_it_was(tmp_path):
    optimizer = make_optimizer(TrainConfig(**PLAIN))
    state = init_state(Sums(), optimizer, jax.random.key(0))
    state = state._replace(step=jnp.int32(1))
    with Checkpoints(tmp_path / "new") as checkpoints:
        checkpoints.save(state, position={}, metadata={})
    target = place(Machine()).shapes(jax.eval_shape(lambda: state))
    with Checkpoints(tmp_path / "new", read_only=True) as checkpoints:
        found, _ = checkpoints.restore(1, target)
    jax.tree.map(np.testing.assert_array_equal, found, state)
    blocks = by_name(unstack(found.params))
    again = stack(blocks, state.params, lambda rows, _: np.stack(rows))
    jax.tree.map(np.testing.assert_array_equal, again, state.params)
