"""The GSA module against a NumPy twin, option by option, and what it must not do."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.kernels import lanes
from gpsattn_jax.modules import Functional, GlobalSelfAttention
from gpsattn_jax.modules import global_self_attention as module_file
from gpsattn_jax.platforms import traced_for
from tests.kernels import reference

HEIGHT, WIDTH, CHANNELS = 3, 4, 6
OPTIONS = {"channels": CHANNELS, "num_heads": 2, "window": 4}


def build(**options):
    options = OPTIONS | options
    return Functional(lambda rngs: GlobalSelfAttention(**options, rngs=rngs))


def images(height=HEIGHT, width=WIDTH, channels=CHANNELS, batch=2):
    shape = (batch, height, width, channels)
    return jnp.asarray(np.random.default_rng(1).standard_normal(shape, np.float32))


def shaken(network, seed=0):
    """Parameters and statistics that are nowhere zero or one, without a compilation."""
    params, state = network.shapes()
    generator = np.random.default_rng(seed)
    params = jax.tree.map(
        lambda a: jnp.asarray(generator.normal(0, 0.7, a.shape)), params
    )
    state = jax.tree.map(
        lambda a: jnp.asarray(generator.uniform(0.5, 2, a.shape)), state
    )
    return params, state


def twin(params, state, x, *, query_softmax=False, norm="channel", train=False, **_):
    """Specification section 1, with loops; which branches are on is in `params`."""
    params, state = jax.tree.map(np.float64, (params, state))
    x = np.float64(x)
    query = np.einsum("bhwc,cnd->bnhwd", x, params["query"]["kernel"])
    value = np.einsum("bhwc,cnd->bnhwd", x, params["value"]["kernel"])
    out = np.zeros(value.shape)
    pairs = list(np.ndindex(*value.shape[:2]))
    if "key" in params:
        key = np.einsum("bhwc,cnd->bnhwd", x, params["key"]["kernel"])
        looking = np.exp(query) / np.exp(query).sum(-1, keepdims=True)
        looking = looking if query_softmax else query
        for pair in pairs:
            flat = [a[pair].reshape(-1, a.shape[-1]) for a in (looking, key, value)]
            out[pair] += reference.content_attention(*flat).reshape(out[pair].shape)
    position = np.array(value)
    if "column_table" in params:
        for pair in pairs:
            position[pair] = reference.down_columns(
                query[pair], value[pair], params["column_table"]
            )
        if norm != "none":
            position = twin_norm(position, params["norm"], state["norm"], norm, train)
    if "row_table" in params:
        for pair in pairs:
            position[pair] = reference.along_rows(
                query[pair], position[pair], params["row_table"]
            )
    if "column_table" in params or "row_table" in params:
        out += position
    if "out" in params:
        mixed = np.einsum("bnhwd,ndc->bhwc", out, params["out"]["kernel"])
        return mixed + params["out"]["bias"]
    return np.moveaxis(out, 1, 3).reshape(*x.shape[:3], -1)


def twin_norm(x, params, state, norm, train):
    """Batch norm of [B, N, H, W, E], by statistics of each channel (of each head)."""
    axes = (0, 1, 2, 3) if norm == "head" else (0, 2, 3)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    shape = mean.shape
    if not train:
        mean, var = state["mean"].reshape(shape), state["var"].reshape(shape)
    scale, bias = params["scale"].reshape(shape), params["bias"].reshape(shape)
    return scale * (x - mean) / np.sqrt(var + 1e-5) + bias


CASES = {
    "paper": {},
    "content": {"column": False, "row": False},
    "column": {"content": False, "row": False},
    "row": {"content": False, "column": False},
    "content, column": {"row": False},
    "content, row": {"column": False},
    "column, row": {"content": False},
    "query softmax": {"query_softmax": True},
    "norm head": {"norm": "head"},
    "norm none": {"norm": "none"},
    "local window": {"window": 2},
    "window of one": {"window": 1},
    "long tables": {"window": 9},
    "projection": {"out_channels": 5},
    "narrow keys": {"key_channels": 2, "norm": "head"},
    "narrow values": {"value_channels": 4},
    "one head": {"num_heads": 1},
    "public module": {
        "key_channels": 8,
        "value_channels": 8,
        "norm": "head",
        "query_softmax": True,
        "out_channels": 3,
        "balanced": False,
    },
}
IN_TRAINING = ["paper", "norm head", "norm none", "column", "public module"]


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_evaluation_agrees_with_the_twin(options):
    check(options, train=False)


@pytest.mark.parametrize("name", IN_TRAINING)
def test_training_agrees_with_the_twin(name):
    check(CASES[name], train=True)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_a_tpu_s_form_agrees_with_the_twin(options):
    with traced_for("tpu"):
        check(options, train=False)


@pytest.mark.parametrize("name", IN_TRAINING)
def test_a_tpu_s_form_trains_alike(name, monkeypatch):
    """Outputs, statistics and gradients, with lines in parts of which one is short."""
    in_tiles = functools.partial(lanes.axial_attention_of_heads, tile_bytes=400)
    monkeypatch.setattr(module_file, "axial_attention_of_heads", in_tiles)
    network = build(**CASES[name])
    params, state = shaken(network)

    def results(platform):
        def loss(params, x):
            out, after = network.apply(params, state, x, train=True)
            return jnp.square(out).sum(), (out, after)

        with traced_for(platform):
            gradient = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
            return gradient(params, images())

    text = str(jax.make_jaxpr(lambda: results("tpu"))())
    assert "scan[" in text

    def alike(found, expected):
        close = 2e-5 * max(1.0, float(jnp.abs(expected).max()))
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=close)

    jax.tree.map(alike, results("tpu"), results("cpu"))


def check(options, *, train):
    network = build(**options)
    params, state = shaken(network)
    apply = jax.jit(functools.partial(network.apply, train=train))
    out, _ = apply(params, state, images())
    expected = twin(params, state, images(), **options, train=train)
    assert out.shape == expected.shape and out.dtype == jnp.float32
    np.testing.assert_allclose(out, expected, rtol=2e-5, atol=2e-5 * expected.max())


def test_the_cases_cover_all_branch_switches():
    branches = ("content", "column", "row")
    seen = {tuple(case.get(name, True) for name in branches) for case in CASES.values()}
    assert seen == set(itertools.product([True, False], repeat=3)) - {(False,) * 3}


def test_parameters_of_each_switch():
    def names(**options):
        params, state = build(**options).shapes()
        return set(params), set(state)

    every = {"query", "key", "value", "column_table", "row_table", "norm"}
    assert names() == (every, {"norm"})
    assert names(content=False)[0] == every - {"key"}
    assert names(row=False)[0] == every - {"row_table"}
    assert names(column=False) == (every - {"column_table", "norm"}, set())
    assert names(norm="none") == (every - {"norm"}, set())
    assert names(out_channels=5)[0] == every | {"out"}


def test_parameter_shapes():
    params, state = build(
        key_channels=8, value_channels=4, window=5, out_channels=7
    ).shapes()
    assert jax.tree.map(lambda leaf: leaf.shape, params) == {
        "query": {"kernel": (6, 2, 4)},
        "key": {"kernel": (6, 2, 4)},
        "value": {"kernel": (6, 2, 2)},
        "column_table": (9, 4),
        "row_table": (9, 4),
        "norm": {"scale": (4,), "bias": (4,)},
        "out": {"kernel": (2, 2, 7), "bias": (7,)},
    }
    assert jax.tree.map(lambda leaf: leaf.shape, state) == {
        "norm": {"mean": (4,), "var": (4,)}
    }
    params, _ = build(norm="head").shapes()
    assert params["norm"]["scale"].shape == (3,)


ERRORS = {
    "key": (
        {"key_channels": 7},
        "key_channels must be a multiple of num_heads=2; got 7.",
    ),
    "value": (
        {"value_channels": 5},
        "value_channels must be a multiple of num_heads=2; got 5.",
    ),
    "both": (
        {"num_heads": 4},
        "key_channels must be a multiple of num_heads=4; got 6.",
    ),
    "branches": (
        {"content": False, "column": False, "row": False},
        "At least one of content, column, row must be on.",
    ),
    "norm": (
        {"norm": "layer"},
        "norm must be one of channel, head, none; got 'layer'.",
    ),
}


@pytest.mark.parametrize("options, message", ERRORS.values(), ids=ERRORS.keys())
def test_errors(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GlobalSelfAttention(**OPTIONS | options, rngs=nnx.Rngs(0))


def permuted(x, order):
    return x.reshape(len(x), -1, x.shape[-1])[:, order].reshape(x.shape)


@pytest.mark.parametrize("position", [False, True])
def test_pixels_have_a_place_only_through_position(position):
    network = build(column=position, row=position)
    params, state = shaken(network)
    order = np.random.default_rng(2).permutation(HEIGHT * WIDTH)
    apply = jax.jit(network.apply)
    out = permuted(apply(params, state, images())[0], order)
    other = apply(params, state, permuted(images(), order))[0]
    assert np.allclose(out, other, atol=1e-4) == (not position)


def test_examples_meet_only_in_training():
    network = build()
    params, state = shaken(network)
    other = images().at[1].multiply(3.0)
    for train in (False, True):
        apply = jax.jit(functools.partial(network.apply, train=train))
        one = apply(params, state, images())[0][0]
        two = apply(params, state, other)[0][0]
        assert np.array_equal(one, two) == (not train)


def test_every_pixel_sees_every_other():
    network = build(content=False, norm="none", window=4)
    params, state = shaken(network)
    x = images()[:1]
    jacobian = jax.jit(
        jax.jacobian(lambda x: network.apply(params, state, x)[0].sum(-1))
    )(x)
    assert np.all(np.abs(jacobian).max(axis=(0, 3, -1)) > 0)


@pytest.mark.parametrize("norm", ["channel", "head", "none"])
def test_every_parameter_learns(norm):
    network = build(norm=norm, out_channels=3)
    params, state = shaken(network)

    x = images()

    @jax.jit
    @jax.grad
    def gradients(params):
        return jnp.square(network.apply(params, state, x, train=True)[0]).sum()

    for gradient in jax.tree.leaves(gradients(params)):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-4


# Where the branches start: the fault of the public module, and its cure.


def ratio(side, **options):
    """Size of the positional branch over that of the content branch, as initialised."""
    options = {"channels": 16, "num_heads": 2, "window": side} | options
    full, content = build(**options), build(**options, column=False, row=False)
    x = images(side, side, options["channels"], 1)

    @jax.jit
    def sizes(key):
        params, state = full.init(key)
        projections = {name: params[name] for name in ("query", "key", "value")}
        both, _ = full.apply(params, state, x)
        one, _ = content.apply(projections, {}, x)
        return (both - one).std(), one.std()

    position, content = sizes(jax.random.key(0))
    return float(position / content)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("norm", ["channel", "none"])
def test_balanced_starts_with_a_small_positional_branch(norm, balanced):
    measured = ratio(14, norm=norm, balanced=balanced)
    if not balanced:
        assert measured > 70
    elif norm == "none":
        assert 0 < measured < 0.5
    else:
        assert measured < 1e-5  # the scale starts at zero, and so does the branch


@pytest.mark.parametrize(
    "options", [{}, {"row": False}, {"column": False}, {"norm": "none"}]
)
def test_balanced_branches_can_grow(options):
    """Starting at zero is no trap: some parameter of the branch has a gradient."""
    network = build(**options)
    x = images()

    @jax.jit
    def gradients(key):
        def objective(params):
            return (network.apply(params, state, x, train=True)[0] * x).sum()

        params, state = network.init(key)
        return jax.grad(objective)(params)

    branch = {
        name: array
        for name, array in gradients(jax.random.key(0)).items()
        if name in ("norm", "column_table", "row_table")
    }
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(branch)) > 1e-4


# Memory.


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
def test_no_matrix_of_pixels_by_pixels(train, gradient):
    """One [N, N] of one head of one example is 39 MB; all temporaries are less."""
    side, channels = 56, 32
    network = build(channels=channels, num_heads=4, window=side)
    params, state = network.shapes()
    x = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)

    def run(params, state, x):
        out, new_state = network.apply(params, state, x, train=train)
        return out.sum(), new_state

    function = jax.grad(run, argnums=(0, 2), has_aux=True) if gradient else run
    memory = jax.jit(function).lower(params, state, x).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * (side * side) ** 2
