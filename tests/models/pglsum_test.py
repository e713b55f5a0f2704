"""PGL-SUM against the official code's arrays and training; lengths, starts, dropout."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.convert.pglsum import to_torch
from gpsattn_jax.models import pglsum
from gpsattn_jax.modules import positional_attention
from gpsattn_jax.training import TrainConfig
from gpsattn_jax.training.losses import summed_squares
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import init_state
from gpsattn_jax.training.step import train_step
from tests import golden_pglsum
from tests.golden_pglsum import (
    SMALL,
    error,
    features,
    made_network,
    prefixed,
    quick_jit,
    twin,
)

PARAMETERS = {"default": 9_443_329, "summe": 9_443_329, "tvsum": 9_443_329}

BLOCKS = (
    "a01_selfattn_abs_oddT",
    "a02_selfattn_abs_evenT",
    "a03_selfattn_none_1head",
    "a04_selfattn_rel_oddT",
    "a05_selfattn_rel_evenT",
    "a06_selfattn_abs_out_lt_in",
    "a07_selfattn_abs_out_gt_in",
    "a08_selfattn_abs_freq1000",
    "a09_selfattn_abs_T_gt_d",
    "a10_selfattn_abs_T_gtgt_d_overflow",
    "a11_selfattn_rel_l2_T121",
    "a12_selfattn_none_T1",
    "a13_selfattn_abs_T2",
    "a14_selfattn_large_logits",
)
PARTS = (
    *(
        f"b_multi_{fusion}_{position}_M4_T37"
        for fusion in ("add", "mult", "avg", "max")
        for position in ("absolute", "relative", "None")
    ),
    "b_multi_None_absolute_M4_T22",
    "b_multi_None_none_Mnone_T22",
    "b_multi_add_absolute_M3_T50",
    "b_multi_add_absolute_M4_T40_divisible",
    "b_multi_add_absolute_M4_T8_minimal",
    "b_multi_add_absolute_M8_T75",
    "b_multi_add_absolute_Mnone_T22",
    "b_multi_add_none_M4_T3_emptysegments",
    "b_multi_add_none_M4_T5_short",
    "b_multi_avg_relative_M5_T64",
    "b_multi_max_absolute_M2_T31",
)
WHOLE = (
    "c_pgl_T8",
    "c_pgl_avg_T46",
    "c_pgl_default_T200",
    "c_pgl_default_T77",
    "c_pgl_global_only_T61",
    "c_pgl_max_T47",
    "c_pgl_mult_T45",
    "c_pgl_nopos_T53",
    "c_pgl_out_ne_in_T39",
    "c_pgl_relative_T59",
)
# There a unit before the ReLU is 4e-7: which side it is on is rounding, and a gradient
# jumps by a hundredth.
KINKED = {"c_pgl_default_T200": 0.03}
# Again in blocks, and padded: one of each kind.
IN_BLOCKS = (
    "a01_selfattn_abs_oddT",
    "a09_selfattn_abs_T_gt_d",
    "a12_selfattn_none_T1",
    "b_multi_max_relative_M4_T37",
    "c_pgl_default_T77",
)


def in_blocks(monkeypatch, block=16):
    """Any length is long."""
    monkeypatch.setattr(positional_attention, "LONG", 1)
    monkeypatch.setattr(positional_attention, "BLOCK", block)


def count_parameters(config):
    return sum(leaf.size for leaf in jax.tree.leaves(pglsum.build(config).shapes()[0]))


# Against the official code.


def run_golden(golden, name, padding=0):
    """Compares outputs, attention weights and gradients with those of a file."""
    arrays, described = golden_pglsum.read(golden, name)
    network, params, state = golden_pglsum.load(arrays, described)
    x, whole = arrays["input"][None], described["module"] == "PGL_SUM"
    steps, length = x.shape[1], jnp.array([x.shape[1]])

    def apply(params, x):
        if whole:
            out, weights = network.apply(params, state, x, length, attention=True)[0]
            out = out[0, :steps]
            return jnp.square(out - arrays["target"]).mean(), (out, weights)
        out = network.apply(params, state, x, length)[0][0, :steps]
        module = nnx.merge(network.graphdef, params, state)
        weights = getattr(module, "whole", module).weights(x, length)
        return jnp.vdot(out, arrays["cotangent"]), (out, weights)

    padded = jnp.pad(x, ((0, 0), (0, padding), (0, 0)))
    theirs = prefixed(arrays, "grad_param/")
    if name in PARTS and not theirs and not padding:  # compiles in half the time
        _, (out, weights) = quick_jit(apply)(params, padded)
        assert error(out, arrays["output"].reshape(out.shape)) < 2e-5
        assert error(weights[0], arrays["attention"]) < 2e-5
        return
    run = quick_jit(jax.value_and_grad(apply, argnums=(0, 1), has_aux=True))
    (value, (out, weights)), (gradients, gradient) = run(params, padded)
    assert error(out, arrays["output"].reshape(out.shape)) < 2e-5
    assert error(weights[0, :steps, :steps], arrays["attention"]) < 2e-5
    assert not np.any(weights[0, :, steps:]) and not np.any(gradient[0, steps:])
    assert error(gradient[0, :steps], arrays["grad_input"]) < KINKED.get(name, 1e-4)
    if whole:
        np.testing.assert_allclose(value, arrays["loss"], rtol=1e-5)
    if theirs:
        theirs = {f"param/{name}": array for name, array in theirs.items()}
        _, wanted, _ = golden_pglsum.load(theirs, described)
        assert_gradients(gradients, wanted)


def assert_gradients(ours, theirs):
    """To 1e-4 of each array's largest value; what is zero is so up to rounding."""
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(theirs))

    def one(path, ours, theirs):
        limit = 1e-4 * np.abs(theirs).max() if np.any(theirs) else 1e-5 * largest
        assert np.abs(ours - theirs).max() < limit, path

    jax.tree.map_with_path(one, ours, theirs)


@pytest.mark.parametrize("name", [*BLOCKS, *PARTS, *WHOLE])
def test_golden(golden, name):
    run_golden(golden, name)


@pytest.mark.parametrize("name", IN_BLOCKS)
def test_golden_in_blocks_and_padded(golden, name, monkeypatch):
    in_blocks(monkeypatch)
    run_golden(golden, name, padding=7)


def test_no_golden_file_is_missing(golden):
    there = {path.stem for path in (golden / "pglsum").glob("[abc]*.npz")}
    assert there == {*BLOCKS, *PARTS, *WHOLE, "a90_position_matrices"}


@pytest.mark.parametrize(
    "name", ["d_train_add_abs_batch3", "d_train_max_rel_batch2_clip"]
)
def test_golden_training(golden, name):
    """Losses, norms and the end of a run, in padded batches with an empty video."""
    arrays, described = golden_pglsum.read(golden, name)
    network, *initial = golden_pglsum.load(arrays, described, dropout=0.0)
    config = TrainConfig(
        optimizer="adam", learning_rate=described["lr"], clip_norm=described["clip"],
        weight_decay=described["weight_decay_l2_in_grad"], decayed="all",
        schedule="constant", warmup_steps=0, batch_size=described["batch_size"],
    )  # fmt: skip
    optimizer, key = make_optimizer(config), jax.random.key(0)
    state = init_state(network, optimizer, key, initial=initial)
    step = quick_jit(
        functools.partial(
            train_step,
            network=network,
            loss=summed_squares(),
            optimizer=optimizer,
            config=config,
        )  # fmt: skip
    )
    norms = iter(arrays["grad_norm_before_clip"])
    for order, expected in zip(arrays["order"], arrays["loss_per_epoch"], strict=True):
        losses = []
        for places in order.reshape(-1, config.batch_size):
            state, metrics = step(state, golden_batch(arrays, places), key)
            losses.append(metrics["loss"])
            np.testing.assert_allclose(metrics["grad_norm"], next(norms), rtol=1e-4)
        np.testing.assert_allclose(np.mean(losses), expected, rtol=1e-4)
    model = golden_pglsum.config_of(arrays, described | {"module": "PGL_SUM"})
    for theirs, found in to_torch(model, state.params, {}).items():
        assert error(found, arrays[f"final_param/{theirs}"]) < 1e-4, theirs


def golden_batch(arrays, places, longest=64):
    """Videos of a file, and one that is empty."""
    rows = len(places) + 1
    x = np.zeros((rows, longest, arrays["video0/features"].shape[1]), np.float32)
    scores, lengths = np.ones((rows, longest), np.float32), np.zeros(rows, np.int32)
    for row, place in enumerate(places):
        video = arrays[f"video{place}/features"]
        x[row, : len(video)], lengths[row] = video, len(video)
        scores[row, : len(video)] = arrays[f"video{place}/gtscore"]
    return {
        "inputs": {"features": x, "length": lengths},
        "targets": {"score": scores, "length": lengths},
    }


# Any length, also those on which the official code stops.


@pytest.mark.parametrize(
    ("fusion", "position"),
    [
        ("add", "absolute"), ("add", "relative"), ("mult", "relative"),
        ("mult", "none"), ("avg", "absolute"), ("max", "none"), ("none", "relative"),
    ],
)  # fmt: skip
def test_a_padded_video_has_the_scores_of_the_unpadded_one(fusion, position):
    """Which a slow twin gives: every length in one padded batch, an empty one, too."""
    config = dataclasses.replace(
        SMALL, fusion=fusion, position=position, num_segments=4
    )
    network, params, state = made_network(config)
    lengths, x = np.arange(15), np.array(features(15, 14, 16))
    for length, video in zip(lengths, x, strict=True):
        video[length:] = 100.0  # what the padding holds does not matter
    scores, _ = quick_jit(network.apply)(params, state, x, lengths)
    weights = to_torch(config, params, state)
    assert scores.shape == (15, 14) and not np.any(scores[0])
    for length, video, found in zip(lengths, x, scores, strict=True):
        if length:
            expected = twin(config, weights, video[:length].astype(np.float64))
            np.testing.assert_allclose(found[:length], expected, atol=1e-5)
        assert not np.any(found[length:])


def test_gradients_of_padded_videos_are_finite_and_stay_within_them():
    network, params, state = made_network(dataclasses.replace(SMALL, num_segments=4))
    lengths, x = jnp.arange(7), features(7, 6, 16)

    def objective(params, x):
        scores, _ = network.apply(params, state, x, lengths)
        return jnp.square(scores).sum()

    gradients, gradient = quick_jit(jax.grad(objective, argnums=(0, 1)))(params, x)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert np.abs(gradient[6]).max() > 0
    for length, row in zip(lengths, gradient, strict=True):
        assert np.isfinite(row).all() and not np.any(row[length:])


def test_long_videos_in_blocks_score_as_at_once(monkeypatch):
    """By the constants as they are: the whole video in blocks, its segments not."""
    network, params, state = made_network(SMALL)
    steps = positional_attention.LONG + 3
    x, lengths = features(2, steps, 16), jnp.array([steps, 200])

    def run():  # a new function each time: traced anew
        return quick_jit(lambda *inputs: network.apply(*inputs)[0])

    long = run()(params, state, x, lengths)
    monkeypatch.setattr(positional_attention, "LONG", steps + 1)
    np.testing.assert_allclose(long, run()(params, state, x, lengths), atol=1e-5)


def test_a_length_beyond_the_features_is_theirs():
    network, params, state = made_network(SMALL)
    run, x = quick_jit(network.apply), features(1, 6, 16)
    expected, _ = run(params, state, x)
    found, _ = run(params, state, x, jnp.array([9]))
    np.testing.assert_array_equal(found, expected)


# Sizes and initial values.


def test_parameters():
    assert PARAMETERS.keys() == pglsum.VARIANTS.keys()
    for name, config in pglsum.VARIANTS.items():
        assert count_parameters(config) == PARAMETERS[name]
    alone = pglsum.Config(num_segments=0)
    assert count_parameters(alone) == 5 * 1024**2 + 7 * 1024 + 1 - 1024
    # Four segments have a quarter of the width each, and a matrix out of it.
    assert count_parameters(pglsum.Config()) - count_parameters(alone) == 4 * 1024**2


@pytest.fixture(scope="module")
def starts():
    """Initial parameters by the name of the start."""
    config = dataclasses.replace(SMALL, num_segments=2, input_size=64, hidden_size=64)
    return {
        name: quick_jit(pglsum.build(dataclasses.replace(config, start=name)).init)(
            jax.random.key(0)
        )[0]
        for name in pglsum.STARTS
    }


def matrices(params):
    """Every matrix [inputs, outputs] as it is drawn, by name: each head for itself."""
    for name, block in params["attention"].items():
        for part in ("query", "key", "value"):
            kernel = np.asarray(block[part]["kernel"])  # [(M,) C, N, D]
            for place, matrix in enumerate(np.moveaxis(kernel, -2, 0)):
                yield from (
                    (f"{name} {part} {place}", one)
                    for one in matrix.reshape(-1, *matrix.shape[-2:])
                )
        out = np.asarray(block["out"]["kernel"])  # [(M,) N, D, C]
        width = out.shape[-3] * out.shape[-2]
        yield from ((f"{name} out", one) for one in out.reshape(-1, width, 64))
    for name in ("hidden", "score"):
        yield name, np.asarray(params[name]["kernel"])


LIMITS = {
    "xavier": lambda inputs, outputs: (12 / (inputs + outputs)) ** 0.5,
    "kaiming": lambda inputs, outputs: (6 / inputs) ** 0.5,
}


@pytest.mark.parametrize("start", LIMITS)
def test_uniform_starts_fill_their_bounds(starts, start):
    found = dict(matrices(starts[start]))
    assert {matrix.shape for matrix in found.values()} == {
        (64, 32), (64, 16), (64, 64), (32, 64), (64, 1),
    }  # fmt: skip
    for name, matrix in found.items():
        largest = np.abs(matrix).max() / LIMITS[start](*matrix.shape)
        assert (0.9 if matrix.size > 99 else 0.7) < largest <= 1, name
        assert abs(matrix.mean()) < 0.2 * np.abs(matrix).max()


def test_normal_start(starts):
    for name, matrix in matrices(starts["normal"]):
        if matrix.size > 99:
            np.testing.assert_allclose(matrix.std(), 2**0.5, rtol=0.1, err_msg=name)


def test_orthogonal_start(starts):
    """Columns or rows, whichever are fewer, at right angles and of length sqrt(2)."""
    for name, matrix in matrices(starts["orthogonal"]):
        few = matrix if matrix.shape[0] < matrix.shape[1] else matrix.T
        expected = 2 * np.eye(len(few))
        np.testing.assert_allclose(few @ few.T, expected, atol=1e-4, err_msg=name)


def test_every_bias_starts_at_a_tenth_and_every_scale_at_one(starts):
    for params in starts.values():
        for part in ("norm", "hidden_norm", "hidden", "score"):
            np.testing.assert_array_equal(params[part]["bias"], np.float32(0.1))
        for part in ("norm", "hidden_norm"):
            np.testing.assert_array_equal(params[part]["scale"], 1)


def test_no_two_matrices_start_alike(starts):
    """Of segments, heads, parts."""
    for params in starts.values():
        drawn = [matrix.ravel()[:16] for _, matrix in matrices(params)]
        assert len(np.unique(np.stack(drawn), axis=0)) == len(drawn) > 20


# Dropout.


def dropping_weights(num_heads=2, rate=0.25, steps=64):
    """A module whose output is its dropped weights, all of 1 / steps before."""
    size = steps // num_heads
    module = positional_attention.PositionalAttention(
        steps, steps, num_heads, position="none", frequency=1.0, dropout=rate,
        start=lambda key, shape: jnp.zeros(shape), rngs=nnx.Rngs(0),
    )  # fmt: skip
    first = jnp.eye(steps, size)[:, None]  # each head: the first keys' weights
    module.value.kernel[...] = jnp.tile(first, (1, num_heads, 1))
    module.out.kernel[...] = jnp.eye(steps).reshape(num_heads, size, steps)
    return module


@pytest.mark.parametrize("blocks", [False, True])
def test_dropout_of_weights(blocks, monkeypatch):
    """Rate and size; other draws for each video, head and query; the same by a key."""
    if blocks:
        in_blocks(monkeypatch)
    rate, steps = 0.25, 64
    graphdef, arrays = nnx.split(dropping_weights(rate=rate, steps=steps))
    x = jnp.tile(jnp.eye(steps)[None], (2, 1, 1))

    @quick_jit
    def run(arrays, key):
        module = nnx.merge(graphdef, arrays)
        rngs = nnx.Rngs(dropout=key)
        return module(x, jnp.full(2, steps), train=True, rngs=rngs)

    keys = jax.random.split(jax.random.key(0), 2)
    first, again, other = (np.asarray(run(arrays, k)) for k in (*keys[:1], *keys))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other) and np.any(first[0] != first[1])
    assert np.any(first[..., :32] != first[..., 32:])
    assert len(np.unique(first.reshape(-1, 32), axis=0)) == 256
    kept = first > 0
    np.testing.assert_allclose(first[kept] * steps, 1 / (1 - rate), rtol=1e-5)
    assert abs(kept.mean() - (1 - rate)) < 0.03


def test_training_draws_from_its_key():
    network, params, state = made_network(SMALL)
    run = quick_jit(functools.partial(network.apply, train=True))
    keys, x = jax.random.split(jax.random.key(0)), features(2, 5, 16)
    outs = [run(params, state, x, rng=key)[0] for key in (*keys, keys[0])]
    assert np.abs(outs[0] - outs[1]).max() > 1e-3
    np.testing.assert_array_equal(outs[0], outs[2])


def test_a_key_is_needed_where_something_is_drawn():
    x = jax.ShapeDtypeStruct((2, 5, 16), jnp.float32)
    for rate in (0.5, 0.0):
        network = pglsum.build(dataclasses.replace(SMALL, dropout=rate))
        run = functools.partial(jax.eval_shape, network.apply, *network.shapes(), x)
        run()
    train = functools.partial(network.apply, train=True)
    jax.eval_shape(train, *network.shapes(), x)  # nothing is dropped
    network = pglsum.build(SMALL)
    train = functools.partial(network.apply, train=True)
    with pytest.raises(ValueError, match="dropout needs a random key in training"):
        jax.eval_shape(train, *network.shapes(), x)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_half_precision(train, blocks, monkeypatch):
    if blocks:
        in_blocks(monkeypatch)
    network = pglsum.build(SMALL)
    params, state = network.shapes()
    narrow = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.bfloat16), params)
    x = jax.ShapeDtypeStruct((2, 5, 16), jnp.bfloat16)
    key = jax.eval_shape(lambda: jax.random.key(0))
    apply = functools.partial(network.apply, train=train)
    out, _ = jax.eval_shape(apply, narrow, state, x, rng=key)
    assert out.dtype == jnp.bfloat16


# What does not fit.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fusion": "sum"}, "fusion must be one of add, mult, avg, max, none; got"),
        ({"position": "rotary"}, "position must be one of absolute, relative, none;"),
        ({"start": "zeros"}, "start must be one of xavier, normal, kaiming, orthogo"),
        ({"num_segments": 1}, "num_segments must be 0, or 2 and more; got 1."),
        ({"num_segments": -2}, "num_segments must be 0, or 2 and more; got -2."),
        ({"num_heads": 0}, "num_heads must be at least 1"),
        ({"local_heads": 0}, "local_heads must be at least 1"),
        ({"dropout": 1.0}, "dropout must be in [0, 1); got 1.0."),
        ({"frequency": 0.0}, "frequency must be above 0; got 0.0."),
        ({"num_heads": 3}, "hidden_size must be a multiple of num_heads=3; got 1024."),
        (
            {"local_heads": 3},
            "hidden_size / num_segments must be a multiple of local_heads=3; got 256.",
        ),
    ],
)
def test_configs_that_cannot_be_built(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        pglsum.Config(**fields)


def test_none_means_none():
    fields = ("num_segments", "fusion", "position", "hidden_size")
    config = pglsum.Config(**dict.fromkeys(fields))
    assert (config.num_segments, config.fusion, config.position) == (0, "none", "none")
    assert config.width == 1024


@pytest.mark.parametrize(
    ("shape", "length", "message"),
    [
        ((5, 16), None, "features must be [B, T, C=16], each at least 1; got (5, 16)."),
        ((2, 5, 8), None, "features must be [B, T, C=16]"),
        ((2, 0, 16), None, "features must be [B, T, C=16]"),
        ((2, 5, 16), jnp.array(5), "length must be [B=2]; got ()."),
        ((2, 5, 16), jnp.array([5]), "length must be [B=2]; got (1,)."),
    ],
)
def test_features_that_do_not_fit(shape, length, message):
    network = pglsum.build(SMALL)
    with pytest.raises(ValueError, match=re.escape(message)):
        jax.eval_shape(network.apply, *network.shapes(), jnp.zeros(shape), length)


def test_a_width_that_the_heads_do_not_divide():
    with pytest.raises(ValueError, match="width must be a multiple of num_heads=3"):
        dropping_weights(num_heads=3)
