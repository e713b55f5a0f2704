"""Optimizers, schedules, accumulation, averages, precision, frozen layers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.models import gsanet
from gpsattn_jax.stacks import unstack
from gpsattn_jax.training.config import Machine, TrainConfig
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.optimizers import (
    decay_mask,
    layer_numbers,
    learning_rate_schedule,
    make_optimizer,
)
from gpsattn_jax.training.state import init_state
from gpsattn_jax.training.step import train_step
from tests.training import small
from tests.training.small import Linear

PLAIN = {"warmup_steps": 0, "schedule": "constant", "clip_norm": 0.0}
SHAPES = {"a": {"kernel": (4, 3), "bias": (3,)}, "b": {"table": (5, 2)}}


def parameters(seed):
    draw = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: draw.normal(size=shape).astype(np.float32),
        SHAPES,
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )


def after(config, steps=4, layers=()):
    """Parameters after steps with made-up gradients."""
    optimizer = make_optimizer(config, layers)
    params = jax.tree.map(jnp.asarray, parameters(0))
    state = optimizer.init(params)
    for step in range(steps):
        updates, state = optimizer.update(parameters(1 + step), state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return params


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("sgd", ("SGD", {"momentum": 0.9, "nesterov": True})),
        ("adam", ("Adam", {"betas": (0.9, 0.99)})),
        ("adamw", ("AdamW", {"betas": (0.9, 0.99)})),
    ],
)
def test_optimizers_do_what_pytorch_s_do(torch, name, theirs):
    config = TrainConfig(
        optimizer=name,
        learning_rate=0.03,
        weight_decay=0.1,
        decayed="all",
        beta2=0.99,
        **PLAIN,
    )
    kind, options = theirs
    leaves, tree = jax.tree.flatten(parameters(0))
    tensors = [torch.nn.Parameter(torch.tensor(leaf)) for leaf in leaves]
    optimizer = getattr(torch.optim, kind)(
        tensors, lr=0.03, weight_decay=0.1, **options
    )
    for step in range(4):
        for tensor, grad in zip(tensors, jax.tree.leaves(parameters(1 + step))):  # noqa: B905
            tensor.grad = torch.tensor(grad)
        optimizer.step()
    expected = jax.tree.unflatten(tree, [tensor.detach().numpy() for tensor in tensors])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-6),
        after(config),
        expected,
    )


def test_lamb_moves_a_matrix_by_its_own_length():
    """The first update has the length learning rate times the parameter's norm."""
    config = TrainConfig(optimizer="lamb", learning_rate=0.01, weight_decay=0, **PLAIN)
    start, end = parameters(0)["a"]["kernel"], after(config, steps=1)["a"]["kernel"]
    moved = np.linalg.norm(end - start)
    np.testing.assert_allclose(moved, 0.01 * np.linalg.norm(start), rtol=1e-4)


def test_what_decays():
    params = jax.tree.map(jnp.asarray, parameters(0))
    flat = {
        what: jax.tree.leaves(decay_mask(params, what))
        for what in ("kernels", "matrices", "all")
    }
    assert flat == {  # a/bias, a/kernel, b/table
        "kernels": [False, True, False],
        "matrices": [False, True, True],
        "all": [True, True, True],
    }


def test_step_schedule_falls_at_its_milestones():
    config = TrainConfig(
        num_steps=100,
        schedule="step",
        milestones=(0.5, 0.8),
        learning_rate=1.0,
        warmup_steps=10,
    )
    rate = learning_rate_schedule(config)
    found = [float(rate(step)) for step in (5, 10, 49, 51, 79, 81, 99)]
    np.testing.assert_allclose(found, [0.5, 1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-5)


def test_other_schedules_end_where_they_should():
    rate = learning_rate_schedule(TrainConfig(schedule="constant", learning_rate=0.2))
    np.testing.assert_allclose([rate(500), rate(999)], 0.2)
    cosine = TrainConfig(num_steps=50, warmup_steps=5, final_learning_rate=1e-5)
    np.testing.assert_allclose(learning_rate_schedule(cosine)(50), 1e-5, rtol=1e-5)


def test_a_warm_up_may_start_above_zero_and_a_cool_down_follow():
    config = TrainConfig(
        num_steps=50,
        warmup_steps=5,
        warmup_start=1e-4,
        learning_rate=1e-2,
        final_learning_rate=1e-3,
        cooldown_steps=10,
    )
    rate = learning_rate_schedule(config)
    found = [float(rate(step)) for step in (0, 5, 39, 40, 49)]
    middle = 1e-3 + (1e-2 - 1e-3) * (1 + np.cos(np.pi * 34 / 35)) / 2
    np.testing.assert_allclose(found, [1e-4, 1e-2, middle, 1e-3, 1e-3], rtol=1e-4)
    # A run cut short by hand keeps its warm-up.
    short = dataclasses.replace(config, num_steps=8)
    assert float(learning_rate_schedule(short)(5)) == pytest.approx(1e-2)


def test_milestones_within_the_warm_up_are_refused():
    config = TrainConfig(schedule="step", num_steps=10, warmup_steps=8)
    with pytest.raises(ValueError, match="milestones must lie after the warm-up of 8"):
        learning_rate_schedule(config)


def batch_of(size):
    return dict(zip(("inputs", "targets"), small.examples(size), strict=True))


def one_step(config, network=None, batch=None, layers=(), steps=1):
    network = Linear() if network is None else network
    batch = batch_of(config.batch_size) if batch is None else batch
    optimizer = make_optimizer(config, layers)
    key = jax.random.key(0)
    start = init_state(network, optimizer, key, averaged=config.ema_decay > 0)
    step = jax.jit(
        functools.partial(
            train_step,
            network=network,
            loss=cross_entropy(config.label_smoothing),
            optimizer=optimizer,
            config=config,
        )
    )
    end = start
    for _ in range(steps):
        end, metrics = step(end, batch, key)
    return start, end, metrics


def close(left, right, **options):
    options = {"rtol": 1e-5, "atol": 1e-6} | options
    jax.tree.map(functools.partial(np.testing.assert_allclose, **options), left, right)


def test_accumulated_parts_make_the_same_step():
    whole = TrainConfig(batch_size=12, optimizer="sgd", **PLAIN)
    parts = dataclasses.replace(whole, accumulate=3)
    (_, one, metrics), (_, three, same) = one_step(whole), one_step(parts)
    close(one.params, three.params)
    close(metrics, same)
    # Three parts of a third each moved the running mean three times.
    close(3 * one.model_state["stem"]["mean"], three.model_state["stem"]["mean"])


def test_moving_averages_forget_as_they_say():
    config = TrainConfig(batch_size=4, ema_decay=0.9, **PLAIN)
    start, end, _ = one_step(config)
    keep = 2 / 11  # (1 + 1) / (10 + 1) is less than 0.9
    expected = jax.tree.map(
        lambda old, new: keep * old + (1 - keep) * new,
        {"params": start.params, "model_state": start.model_state},
        {"params": end.params, "model_state": end.model_state},
    )
    close(end.ema, expected)
    assert one_step(dataclasses.replace(config, ema_decay=0.0))[1].ema is None


def test_bfloat16_computes_low_and_keeps_high():
    config = TrainConfig(batch_size=8, optimizer="sgd", learning_rate=0.1, **PLAIN)
    _, high, metrics = one_step(config)
    low_config = dataclasses.replace(config, precision="bfloat16")
    start, low, rounded = one_step(low_config)
    for leaf in jax.tree.leaves((low.params, low.opt_state, low.model_state)):
        assert leaf.dtype in (jnp.float32, jnp.int32)
    assert float(metrics["loss"]) != float(rounded["loss"])
    np.testing.assert_allclose(metrics["loss"], rounded["loss"], rtol=0.02)
    moved = jax.tree.map(lambda a, b: a - b, high.params, start.params)
    moved_low = jax.tree.map(lambda a, b: a - b, low.params, start.params)
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(moved))
    close(moved, moved_low, rtol=0, atol=0.03 * largest)


def test_bfloat16_reaches_the_inside_of_a_real_network():
    """Every matmul and convolution but the statistics' is in bfloat16."""
    network = gsanet.build(dataclasses.replace(gsanet.VARIANTS["8px"], layers=(1, 1)))
    config = TrainConfig(batch_size=2, precision="bfloat16")
    batch = {
        "inputs": {"images": np.ones((2, 8, 8, 1), np.float32)},
        "targets": {"label": np.zeros(2, np.int32)},
    }
    optimizer = make_optimizer(config)
    state = jax.eval_shape(
        lambda key: init_state(network, optimizer, key), jax.random.key(0)
    )
    step = functools.partial(
        train_step,
        network=network,
        loss=cross_entropy(),
        optimizer=optimizer,
        config=config,
    )
    text = str(jax.make_jaxpr(step)(state, batch, jax.random.key(0)))
    convolutions = [line for line in text.splitlines() if "conv_general" in line]
    assert convolutions
    assert all("bf16" in line.split("=")[0] for line in convolutions)


def test_frozen_parts_stay_and_the_rest_learns():
    config = TrainConfig(batch_size=4, frozen=("stem",), warmup_steps=0)
    start, end, _ = one_step(config, steps=2)
    close(start.params["stem"], end.params["stem"], rtol=0, atol=0)
    close(start.model_state, end.model_state, rtol=0, atol=0)
    assert not np.allclose(start.params["head"]["bias"], end.params["head"]["bias"])


def test_a_pattern_that_freezes_nothing_is_refused():
    config = TrainConfig(batch_size=4, frozen=("stem", "nothing"))
    with pytest.raises(ValueError, match="path, as head, stem; got 'nothing'"):
        one_step(config)


def test_layers_below_the_head_learn_slower():
    layers = ("stem", "head")
    config = TrainConfig(batch_size=4, layer_decay=0.5, warmup_steps=0)
    plain = dataclasses.replace(config, layer_decay=1.0)
    start, slow, _ = one_step(config, layers=layers, steps=2)
    _, fast, _ = one_step(plain, layers=layers, steps=2)
    one = slow.params["stem"]["kernel"] - start.params["stem"]["kernel"]
    # Adam's first two steps hardly depend on the parameters' own size.
    whole = fast.params["stem"]["kernel"] - start.params["stem"]["kernel"]
    np.testing.assert_allclose(np.abs(one / whole).mean(), 0.5, atol=0.05)
    with pytest.raises(ValueError, match="layer_decay must be 1 for a network without"):
        make_optimizer(config)


def test_layers_are_counted_from_the_input_up():
    params, _ = gsanet.build(gsanet.VARIANTS["8px"]).shapes()
    numbers = layer_numbers(params, ("stem", r"blocks/(\d+)/", "head"))
    numbers = unstack(numbers)
    assert set(jax.tree.leaves(numbers["stem"])) == {0}
    for block, expected in zip(range(4), range(1, 5), strict=True):
        assert set(jax.tree.leaves(numbers["blocks"][block])) == {expected}
    assert set(jax.tree.leaves(numbers["head"])) == {5}
    with pytest.raises(ValueError, match="head/bias must be in one of the layers stem"):
        layer_numbers(params, ("stem", r"blocks/(\d+)/"))


def test_soft_labels_are_a_mix_of_hard_ones():
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)), jnp.float32)
    loss = cross_entropy(0.2)
    one, _ = loss(logits, {"label": jnp.array([0, 1])})
    two, _ = loss(logits, {"label": jnp.array([2, 1])})
    shares = 0.25 * jax.nn.one_hot(jnp.array([0, 1]), 3) + 0.75 * jax.nn.one_hot(
        jnp.array([2, 1]), 3
    )
    mixed, metrics = loss(logits, {"label": shares})
    np.testing.assert_allclose(mixed, 0.25 * one + 0.75 * two, rtol=1e-5)
    right = logits.argmax(-1) == jnp.array([2, 1])
    np.testing.assert_allclose(metrics["accuracy"], right.mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adagrad"}, "train.optimizer must be one of adamw, adam, sgd"),
        ({"schedule": "linear"}, "train.schedule must be one of cosine, step"),
        ({"precision": "float16"}, "train.precision must be one of float32, bfloat16"),
        ({"ema_decay": 1.0}, r"train.ema_decay must be in \[0, 1\); got 1.0"),
        ({"accumulate": 3, "batch_size": 64}, "multiple of train.accumulate=3; got 64"),
        ({"frozen": ("(",)}, r"train.frozen must hold patterns; got '\('"),
        ({"best_metric": "ema/loss"}, "whose highest value is best; got 'ema/loss'"),
        ({"best_metric": "ema/accuracy"}, "where train.ema_decay is 0; got 'ema/acc"),
        ({"learning_rate": -1.0}, "train.learning_rate must be at least 0; got -1.0"),
        ({"milestones": (0.8, 0.5)}, r"rising shares within \(0, 1\); got \(0.8, 0.5"),
        ({"keep_latest": 0}, "train.keep_latest must be at least 1; got 0"),
        ({"warmup_start": -1.0}, "train.warmup_start must be at least 0; got -1.0"),
        (
            {"schedule": "step", "cooldown_steps": 2},
            "train.cooldown_steps must be 0 where train.schedule is not cosine; got 2",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mesh": "data=4"}, "mesh must be NAME:SIZE"),
        ({"profile": "5"}, "profile must be START:STOP"),
        ({"profile": "5:2"}, "profile must be START:STOP"),
        ({"sharding": "zero"}, "sharding must be one of tensor, fsdp"),
        ({"distributed": "manual"}, "coordinator must be HOST:PORT"),
    ],
)
def test_machines_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Machine(**options)
