"""GSA-ResNets: counted parameters and FLOPs, sizes, options; and the counter itself."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.flops import count_flops
from gpsattn_jax.models import gsanet
from gpsattn_jax.stacks import by_name, unstack

# The ImageNet ones agree with the paper's 14.2, 18.1 and 30.4 M.
PARAMETERS = {
    "38": 14_202_728,
    "50": 18_052_856,
    "101": 30_398_392,
    "32px": 902_428,
    "32px_patches": 170_180,
    "8px": 81_930,
}
PLAIN_PARAMETERS = {"38": 19_626_792, "50": 25_557_032, "101": 44_549_160}

# Billions, of one image of 224 pixels: GSA-ResNet, and the plain ResNet beside it.
FLOPS = {"38": ("5.89", "6.43"), "50": ("7.17", "8.18"), "101": ("12.18", "15.60")}


def plain(config):
    return dataclasses.replace(config, mixers=("conv",) * len(config.layers))


@functools.cache
def shapes_of(config):
    """Shapes of parameters and state; a large network takes seconds."""
    return gsanet.build(config).shapes()


def leaf_shapes(config):
    params, state = shapes_of(config)
    return {name: leaf.shape for name, leaf in by_name(unstack(params)).items()}


def count_parameters(config):
    params, _ = shapes_of(config)
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_no_variant_is_missing():
    assert set(PARAMETERS) == set(gsanet.VARIANTS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    assert count_parameters(gsanet.VARIANTS[name]) == PARAMETERS[name]


@pytest.mark.parametrize("name", PLAIN_PARAMETERS)
def test_parameters_of_the_plain_resnet(name):
    assert count_parameters(plain(gsanet.VARIANTS[name])) == PLAIN_PARAMETERS[name]


@pytest.mark.parametrize(
    "name", ["38", "50", pytest.param("101", marks=pytest.mark.slow)]
)
def test_flops(name):
    config = gsanet.VARIANTS[name]
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    counts = []
    for variant in (config, plain(config)):
        network = gsanet.build(variant)
        counts.append(count_flops(network.apply, *shapes_of(variant), image))
    assert tuple(f"{count / 1e9:.2f}" for count in counts) == FLOPS[name]


def test_tables_reach_over_the_map_that_each_module_sees():
    shapes = leaf_shapes(gsanet.VARIANTS["50"])
    rows = [shapes[f"blocks/{block}/mix/row_table"][0] for block in range(16)]
    sides = [56] * 3 + [56] + [28] * 3 + [28] + [14] * 5 + [14] + [7] * 2
    assert rows == [2 * side - 1 for side in sides]


@pytest.mark.parametrize(("size", "side"), [(30, 8), (225, 57)])
def test_tables_reach_for_sizes_that_four_does_not_divide(size, side):
    config = dataclasses.replace(gsanet.VARIANTS["38"], image_size=size)
    assert leaf_shapes(config)["blocks/0/mix/row_table"][0] == 2 * side - 1
    network = gsanet.build(config)
    maps = jax.eval_shape(
        lambda params, state, x: network.apply(
            params, state, images=x, attention_at=(0.5, 0.5)
        ),
        *network.shapes(),
        jax.ShapeDtypeStruct((1, size, size, 3), "float32"),
    )[0][1]
    assert maps[0]["row"].shape[-1] == side


def test_window_caps_the_tables():
    config = dataclasses.replace(gsanet.VARIANTS["50"], window=10)
    shapes = leaf_shapes(config)
    assert shapes["blocks/0/mix/column_table"] == (19, 8)
    assert shapes["blocks/15/mix/column_table"] == (13, 64)


def test_groups_replaced_in_part():
    config = dataclasses.replace(
        gsanet.VARIANTS["38"], mixers=("conv", "conv", "gsa", "gsa")
    )
    shapes = leaf_shapes(config)
    for block in range(12):
        assert (f"blocks/{block}/mix/kernel" in shapes) == (block < 5)
        assert (f"blocks/{block}/mix/query/kernel" in shapes) == (block >= 5)
    full = count_parameters(gsanet.VARIANTS["38"])
    assert full < count_parameters(config) < PLAIN_PARAMETERS["38"]


BRANCHES = {
    "content": {"column": False, "row": False},
    "column": {"content": False, "row": False},
    "row": {"content": False, "column": False},
}


@pytest.mark.parametrize("options", BRANCHES.values(), ids=BRANCHES.keys())
def test_branch_switches_reach_the_modules(options):
    shapes = leaf_shapes(dataclasses.replace(gsanet.VARIANTS["8px"], **options))
    assert any("mix/key/" in name for name in shapes) == options.get("content", True)
    for stage in ("column", "row"):
        found = any(f"mix/{stage}_table" in name for name in shapes)
        assert found == options.get(stage, True)


SMALL = gsanet.Config(
    layers=(1, 2),
    widths=(4, 8),
    expansion=2,
    mixers=("gsa", "conv"),
    num_heads=2,
    image_size=12,
    stem="small",
    in_channels=1,
    num_classes=5,
)


ONE_BLOCK = dataclasses.replace(SMALL, layers=(1,), widths=(8,), mixers=("gsa",))


def shaken(network, seed=0):
    """Parameters that are nowhere zero, so that every branch takes part."""
    params, state = network.shapes()
    generator = np.random.default_rng(seed)
    params = jax.tree.map(
        lambda a: jnp.asarray(generator.normal(0, 0.3, a.shape)), params
    )
    state = jax.tree.map(
        lambda a: jnp.asarray(generator.uniform(0.5, 2, a.shape)), state
    )
    return params, state


def images(*shape):
    return jnp.asarray(np.random.default_rng(3).standard_normal(shape, np.float32))


ODD = {
    "small stem": (SMALL, (11, 11)),
    "not square": (SMALL, (7, 13)),
    "larger than the tables": (SMALL, (15, 17)),
    "imagenet stem": (
        dataclasses.replace(SMALL, stem="imagenet", mixers=("gsa", "gsa")),
        (37, 29),
    ),
    "one pixel": (SMALL, (1, 1)),
}


@pytest.mark.parametrize("config, size", ODD.values(), ids=ODD.keys())
def test_odd_sizes(config, size):
    network = gsanet.build(config)
    out, _ = jax.jit(network.apply)(*shaken(network), images(2, *size, 1))
    assert out.shape == (2, 5) and np.isfinite(out).all()


@pytest.mark.parametrize("size", [(5, 4), (7, 7), (1, 2)])
def test_halving_averages_what_is_there(size):
    x = np.asarray(images(2, *size, 3))
    expected = np.zeros((2, -(-size[0] // 2), -(-size[1] // 2), 3))
    for a, b in np.ndindex(expected.shape[1:3]):
        window = x[:, 2 * a : 2 * a + 2, 2 * b : 2 * b + 2]
        expected[:, a, b] = window.mean((1, 2))
    np.testing.assert_allclose(gsanet.halve(x), expected, rtol=1e-5, atol=1e-6)


def test_training_updates_every_statistic_and_every_parameter_learns():
    config = dataclasses.replace(SMALL, layers=(1, 1), mixers=("gsa", "conv"))
    network = gsanet.build(config)
    params, state = shaken(network)
    x, weights = images(3, 8, 8, 1), images(3, 5)

    @jax.jit
    def step(params, state):
        def objective(params):
            out, new_state = network.apply(params, state, x, train=True)
            return (out * weights).sum(), new_state

        return jax.grad(objective, has_aux=True)(params)

    gradients, new_state = step(params, state)
    names = jax.tree_util.tree_leaves_with_path(gradients)
    silent = [path for path, leaf in names if not np.abs(leaf).max() > 0]
    assert not silent
    changed = jax.tree.map(lambda a, b: bool(np.all(a != b)), state, new_state)
    assert all(jax.tree.leaves(changed))


def test_a_new_network_is_unsure():
    """Its logits are small, whatever the image: the last batch norms start at zero."""
    network = gsanet.build(ONE_BLOCK)
    params, state = network.init(jax.random.key(0))
    for name, array in jax.tree_util.tree_leaves_with_path(params["blocks"]):
        if "expand_norm" in str(name) and "scale" in str(name):
            assert np.all(array == 0)
    out, _ = jax.jit(network.apply)(params, state, images(2, 8, 8, 1))
    assert np.abs(out).max() < 0.5


ERRORS = {
    "stem": (
        {"stem": "tiny"},
        "stem must be one of imagenet, small, patch; got 'tiny'.",
    ),
    "widths": (
        {"widths": (64, 128)},
        "widths must have one entry for each of the 4 groups of layers=(3, 4, 6, 3); "
        "got (64, 128).",
    ),
    "mixers": (
        {"mixers": ("gsa",)},
        "mixers must have one entry for each of the 4 groups of "
        "layers=(3, 4, 6, 3); got ('gsa',).",
    ),
}


@pytest.mark.parametrize("options, message", ERRORS.values(), ids=ERRORS.keys())
def test_errors(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gsanet.Config(**options)


# The counter, against counts by hand.


def count(function, *shapes):
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return count_flops(function, *arrays)


def test_count_of_a_matmul():
    assert count(jnp.matmul, (3, 5), (5, 7)) == 2 * 3 * 5 * 7
    assert count(jax.vmap(jnp.matmul), (4, 3, 5), (4, 5, 7)) == 4 * 2 * 3 * 5 * 7
    assert count(lambda x: jnp.tanh(x) + x.sum(), (3, 5)) == 0


def test_count_goes_into_inner_functions():
    assert count(jax.jit(jnp.matmul), (3, 5), (5, 7)) == 2 * 3 * 5 * 7
    assert count(jax.checkpoint(jnp.matmul), (3, 5), (5, 7)) == 2 * 3 * 5 * 7
    # Forward once; backward one product for each of the two arguments.
    gradient = jax.grad(lambda x, y: jnp.square(x @ y).sum(), argnums=(0, 1))
    assert count(gradient, (3, 5), (5, 7)) == 3 * 2 * 3 * 5 * 7


def test_count_of_a_convolution():
    def convolve(x, filters, **options):
        return jax.lax.conv_general_dilated(
            x,
            filters,
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            **options,
        )

    def depthwise(x, filters):
        return convolve(x, filters, window_strides=(1, 1), feature_group_count=6)

    def strided(x, filters):
        return convolve(x, filters, window_strides=(2, 2))

    assert count(strided, (2, 8, 8, 6), (3, 3, 6, 5)) == 2 * (2 * 4 * 4 * 5) * (9 * 6)
    assert count(depthwise, (2, 8, 8, 6), (3, 3, 1, 6)) == 2 * (2 * 8 * 8 * 6) * 9


def test_count_of_a_loop_is_once_per_trip():
    def loop(x, y):
        return jax.lax.scan(lambda carry, _: (carry @ y, None), x, length=11)[0]

    assert count(loop, (3, 5), (5, 5)) == 11 * 2 * 3 * 5 * 5
    assert count(
        lambda x, y: jax.lax.map(lambda row: row @ y, x), (4, 3, 5), (5, 7)
    ) == (4 * 2 * 3 * 5 * 7)


def test_remat_changes_memory_and_no_number():
    """Outputs, gradients and batch statistics with and without, in training."""
    config = dataclasses.replace(
        gsanet.VARIANTS["8px"], layers=(1, 1), widths=(8, 8), num_classes=3
    )
    images = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    found = []
    for remat in (False, True):
        network = gsanet.build(dataclasses.replace(config, remat=remat))
        params, state = network.init(jax.random.key(0))

        def loss(params, network=network, state=state):
            logits, new = network.apply(params, state, images, train=True)
            return jnp.square(logits).sum(), new

        found.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(params))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *found
    )
    text = str(jax.make_jaxpr(jax.grad(loss, has_aux=True))(params))
    assert "remat" in text or "checkpoint" in text


def test_stacked_blocks_train_as_single_ones_do():
    """Where attention is asked for, blocks run one by one."""
    config = dataclasses.replace(SMALL, layers=(2, 3), mixers=("gsa", "conv"))
    network = gsanet.build(config)
    params, state = network.init(jax.random.key(0))
    assert set(params["blocks"]) == {"0-0", "1-1", "2-2", "3-4"}
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)  # norms start at zero
    x = jax.random.normal(jax.random.key(1), (2, 12, 12, 1))
    apply = functools.partial(network.apply, params, state, x, train=True)
    stacked = jax.jit(apply)()
    one_by_one = jax.jit(functools.partial(apply, attention_at=(0.5, 0.5)))
    (logits, maps), statistics = one_by_one()
    assert list(maps) == [0, 1]
    close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-5)
    jax.tree.map(close, stacked, (logits, statistics))


def test_patches_are_a_stem():
    network = gsanet.build(gsanet.VARIANTS["32px_patches"])
    params, _ = network.shapes()
    assert params["stem"]["kernel"].shape == (4, 4, 3, 32)
    assert unstack(params)["blocks"][0]["mix"]["column_table"].shape == (15, 8)


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (8, 8, 1), (1, 1, 8, 8)])
def test_images_of_other_channels_are_named(shape):
    """As the other networks name theirs; NCHW is the usual mistake."""
    network = gsanet.build(gsanet.VARIANTS["8px"])
    params, state = jax.eval_shape(network.init, jax.random.key(0))
    with pytest.raises(
        ValueError, match=r"images must be \[B, H, W, 1\], each at least 1; got \("
    ):
        jax.eval_shape(network.apply, params, state, jnp.zeros(shape))
