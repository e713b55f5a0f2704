"""TransXNet's parts against arrays that the official code computed, and properties."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.convert import transxnet_rules as rules
from gpsattn_jax.kernels import adaptive_average_pool, resize_bicubic
from gpsattn_jax.models import transxnet
from gpsattn_jax.modules.dual_mixer import DualMixer
from gpsattn_jax.modules.dynamic_conv import DynamicConv
from gpsattn_jax.modules.feedforward import MultiScaleFeedForward
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.layers import LayerScale, PatchEmbed, drop_path
from gpsattn_jax.modules.norms import GroupNorm
from gpsattn_jax.modules.reduced_attention import ReducedAttention
from tests.golden_transxnet import (
    channels_last,
    error,
    prefixed,
    quick_jit,
    read,
    tree_errors,
    weights,
)

# Each part from the official constructor's arguments: (what builds it, its names).


def dynamic_conv(config):
    return functools.partial(
        DynamicConv,
        config["dim"],
        kernel_size=config["kernel_size"],
        num_groups=config["num_groups"],
        reduction=config.get("reduction_ratio", 4),
        use_bias=config.get("bias", True),
    ), rules.dynamic_conv_rules("", "")


def attention(config):
    return functools.partial(
        ReducedAttention,
        config["dim"],
        num_heads=config["num_heads"],
        reduction=config["sr_ratio"],
        scale=config.get("qk_scale"),
    ), rules.attention_rules("", "", reduces=config["sr_ratio"] > 1)


def mixer(config):
    return functools.partial(
        DualMixer,
        config["dim"],
        kernel_size=config["kernel_size"],
        num_groups=config["num_groups"],
        num_heads=config["num_heads"],
        reduction=config["sr_ratio"],
    ), rules.mixer_rules("", "", reduces=config["sr_ratio"] > 1)


def feedforward(config):
    sizes = config["in_features"], config["hidden_features"]
    make = functools.partial(MultiScaleFeedForward, *sizes)
    return make, rules.feedforward_rules("", "")


def layer_scale(config):
    make = functools.partial(LayerScale, config["dim"])
    return make, rules.layer_scale_rules("", "")


def patch_embed(config):
    assert config["padding"] == config["patch_size"] // 2
    return functools.partial(
        PatchEmbed,
        config["in_chans"],
        config["embed_dim"],
        kernel_size=config["patch_size"],
        stride=config["stride"],
    ), rules.patch_embed_rules("", "")


def stage_config(config, depth):
    return transxnet.Config(
        depths=(depth,),
        widths=(config["dim"],),
        num_heads=(config["num_heads"],),
        num_groups=(config["num_groups"],),
        kernel_sizes=(config["kernel_size"],),
        reductions=(config["sr_ratio"],),
        mlp_ratios=(config["mlp_ratio"],),
        norm="batch" if "norm_cfg" in config else "group",
        layer_scale=config.get("layer_scale_init_value", 1e-5),
        drop_path=0.0,
        remat=(False,),
    )


def block(config):
    ours = stage_config(config, 1)
    names = rules.block_rules(
        "",
        "",
        norm=ours.norm,
        reduces=config["sr_ratio"] > 1,
        scales=ours.layer_scale is not None,
    )
    return functools.partial(transxnet.Block, ours, 0), names


class Blocks(transxnet.Stage):
    """A stage whose table is given in the call, as the blocks of the golden file."""

    def __init__(self, config, *, rngs):
        super().__init__(config, 0, rngs=rngs)
        del self.position

    def __call__(self, x, position, *, train=False, rngs=None):
        self.position = position
        out = super().__call__(x, train=train, rngs=rngs)
        del self.position
        return out


def stage(config):
    depth = config["layers"][config["index"]]
    make = functools.partial(Blocks, stage_config(config, depth))
    reduces = config["sr_ratio"] > 1
    names = [
        rules.block_rules(f"{number}.", f"blocks/{number}/", reduces=reduces)
        for number in range(depth)
    ]
    return make, sum(names, [])


PARTS = {
    "idconv_k3_g2": dynamic_conv,
    "idconv_k7_g4": dynamic_conv,
    "idconv_k7_g3_smallmap": dynamic_conv,
    "idconv_k5_g2_nobias": dynamic_conv,
    "osra_sr8_nopos": attention,
    "osra_sr8_pos": attention,
    "osra_sr4_pos_odd": attention,
    "osra_sr2_pos_interp_down": attention,
    "osra_sr1_pos_interp_up": attention,
    "osra_sr1_pos": attention,
    "osra_sr2_qkscale": attention,
    "dmixer_small": mixer,
    "dmixer_wide": mixer,
    "msffn_even": feedforward,
    "msffn_uneven": feedforward,
    "layerscale": layer_scale,
    "patch_embed_stem": patch_embed,
    "patch_embed_down": patch_embed,
    "patch_embed_smallvar": patch_embed,
    "block_sr2": block,
    "block_sr8_interp": block,
    "block_sr1_noscale": block,
    "block_norm_bn": block,
    "block_small_amplitude": block,
    "stage": stage,
}
OTHER_FILES = {
    "relpos_bicubic",
    "adaptive_avg_pool",
    "mini_model",
    "mini_model_features",
    "full_t_224x224",
    "full_s_224x224",
    "full_b_224x224",
    "full_t_96x96",
    "full_t_256x192",
}


def test_every_golden_file_is_here(golden):
    files = {path.stem for path in (golden / "transxnet").glob("*.npz")}
    assert files == set(PARTS) | OTHER_FILES


def fitted(file, config, x):
    """The position table for the map x, as the model's stages make it once a call."""
    if "extra/relative_pos_enc" not in file:
        return ()
    (table,) = file["extra/relative_pos_enc"]
    rows, columns = x.shape[1:3]
    reduced = [-(-side // config["sr_ratio"]) for side in (rows, columns)]
    # The flat way asks the old table's shape alone, not its grid.
    table = jnp.asarray(table)
    return (transxnet.fit_table(table, (), (rows, columns, *reduced), "flat"),)


def compare(file, config, network, names, train):
    """Output, batch statistics, gradients of input and parameters."""
    arrays = prefixed(file, "param/")
    params, state = weights(network, names, arrays)
    x = jnp.asarray(channels_last(file["input"]))
    drawer = "train/" if train else ""
    has_gradients = f"{drawer}grad_input" in file
    cotangent = file["cotangent"] if has_gradients else np.zeros_like(file["output"])

    @quick_jit
    def run(params, x):
        def objective(params, x):
            position = fitted(file, config, x)
            out, after = network.apply(params, state, x, *position, train=train)
            return jnp.vdot(out, channels_last(cotangent)), (out, after)

        if not has_gradients:
            return (None, None), objective(params, x)[1]
        return jax.grad(objective, argnums=(0, 1), has_aux=True)(params, x)

    (gradients, gradient), (out, after) = run(params, x)
    limit = 2e-5 if train else 5e-6
    assert error(out, channels_last(file[f"{drawer}output64"])) < limit
    buffers = prefixed(file, "train/buffer_after/") if train else {}
    _, wanted = weights(network, names, arrays | buffers)
    if wanted:
        name, worst = tree_errors(after, wanted)[0]
        assert worst < (2e-5 if train else 1e-9), name
    if not has_gradients:
        return
    assert error(gradient, channels_last(file[f"{drawer}grad_input64"])) < 2e-5
    # A gradient has its parameter's shape, so that the same rules rename it.
    there = prefixed(file, f"{drawer}grad_param/")
    wanted, _ = weights(network, names, arrays | there)
    # In training some are zero up to rounding: biases before a batch norm.
    name, worst = tree_errors(gradients, wanted, floor=1.0 if train else 1e-2)[0]
    assert worst < 2e-5, name


# Larger parts have the smaller ones' gradients in them: `block_sr2` has them all.
LONG = {"dmixer_small", "stage"}
IN_A_BLOCK = {"idconv_k7_g4", "osra_sr2_pos_interp_down", "dmixer_small", "msffn_even"}


def marked(names, some, mark):
    return [pytest.param(n, marks=mark) if n in some else n for n in names]


@pytest.mark.parametrize("name", marked(PARTS, LONG, pytest.mark.slow))
def test_golden(golden, name):
    file, config = read(golden, name)
    make, names = PARTS[name](config)
    network = Functional(lambda rngs: make(rngs=rngs))
    compare(file, config, network, names, train=False)


TRAINED = ["patch_embed_stem", "patch_embed_down", "patch_embed_smallvar", "block_sr2"]
TRAINED += sorted(IN_A_BLOCK)


@pytest.mark.parametrize("name", marked(TRAINED, IN_A_BLOCK, pytest.mark.exhaustive))
def test_golden_in_training(golden, name):
    file, config = read(golden, name)
    make, names = PARTS[name](config)
    network = Functional(lambda rngs: make(rngs=rngs))
    compare(file, config, network, names, train=True)


def test_every_file_of_training_is_compared(golden):
    for name in PARTS:
        with np.load(golden / "transxnet" / f"{name}.npz") as file:
            covered = name in TRAINED
            assert ("train/output" in file) == covered, name


def test_the_block_has_the_parts_that_it_stands_for(golden):
    """Dynamic convolution, reduced attention with a reduction, feed-forward, norms."""
    config = stage_config(read(golden, "block_sr2")[1], 1)
    params, state = Functional(
        lambda rngs: transxnet.Block(config, 0, rngs=rngs)
    ).shapes()
    mixer = params["mixer"]
    assert {"kernels", "norm", "gate"} <= set(mixer["local"])
    assert {"conv", "conv_norm", "scale_norm"} <= set(mixer["attention"]["reduce"])
    assert len(params["feedforward"]["branches"]) == 4
    assert "var" in state["mixer"]["local"]["norm"]


@pytest.mark.parametrize("case", range(5))
def test_golden_tables_of_other_sizes(golden, case):
    file, _ = read(golden, "relpos_bicubic")
    table, wanted = file[f"table{case}"], file[f"resized64_{case}"]
    assert error(resize_bicubic(jnp.asarray(table), wanted.shape), wanted) < 1e-6


@pytest.mark.parametrize("case", range(6))
def test_golden_pooling(golden, case):
    file, _ = read(golden, "adaptive_avg_pool")
    x, size, wanted = (file[f"{letter}{case}"] for letter in "xky")
    pool = jax.vmap(lambda image: adaptive_average_pool(image, int(size)))
    assert error(pool(channels_last(x)), channels_last(wanted)) < 1e-6


# Properties.


def normal(*shape, seed=1):
    return jax.random.normal(jax.random.key(seed), shape)


def started(make):
    """A part whose parameters are away from trivial values; nothing is compiled."""
    network, generator = (
        Functional(lambda rngs: make(rngs=rngs)),
        np.random.default_rng(0),
    )

    def shaken(path, leaf):
        one = path[-1].key in ("scale", "factor", "var")
        return jnp.asarray(
            one + 0.2 * generator.standard_normal(leaf.shape), leaf.dtype
        )

    params, state = network.shapes()
    params = jax.tree_util.tree_map_with_path(shaken, params)
    state = jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.full(leaf.shape, float(path[-1].key == "var")), state
    )
    return network, params, state


def small_block(**changes):
    arguments = {
        "dim": 8,
        "kernel_size": 3,
        "sr_ratio": 2,
        "num_groups": 2,
        "num_heads": 2,
        "mlp_ratio": 2,
    }
    return block(arguments | changes)[0]


def test_drop_path_drops_whole_examples_and_keeps_the_mean():
    x = normal(2000, 2, 3)
    out = drop_path(x, 0.3, train=True, rngs=nnx.Rngs(dropout=0))
    stays = np.asarray(out[:, 0, 0] != 0)
    np.testing.assert_array_equal(out[~stays], np.zeros_like(out[~stays]))
    np.testing.assert_allclose(out[stays], x[stays] / 0.7, rtol=1e-6)
    # Six standard deviations of so many draws.
    assert abs(stays.mean() - 0.7) < 6 * np.sqrt(0.21 / 2000)


def test_drop_path_does_nothing_in_evaluation_or_without_a_rate():
    x = normal(4, 3)
    assert drop_path(x, 0.5, rngs=nnx.Rngs(dropout=0)) is x
    assert drop_path(x, None, train=True) is x
    with pytest.raises(ValueError, match="drop path needs a random key in training"):
        drop_path(x, 0.5, train=True)


def test_drop_path_of_half_precision_and_a_traced_rate():
    """As in a scan over the blocks of a stage, each with its own rate."""
    x = normal(200, 3).astype(jnp.bfloat16)

    @quick_jit
    def out(rate):
        return drop_path(x, rate, train=True, rngs=nnx.Rngs(dropout=0))

    assert out(0.3).dtype == jnp.bfloat16
    np.testing.assert_array_equal(out(0.0), x)
    assert 0.5 < np.mean(np.asarray(out(0.3)[:, 0] != 0)) < 0.9


def test_layer_scale_starts_small_without_offset():
    network = Functional(lambda rngs: LayerScale(3, 0.01, rngs=rngs))
    params, state = network.init(jax.random.key(0))
    x = normal(2, 4, 5, 3)
    np.testing.assert_allclose(network.apply(params, state, x)[0], 0.01 * x, rtol=1e-6)
    params = {"factor": jnp.array([[[1.0, 2, 3]]]), "bias": jnp.array([0.0, -1, 5])}
    expected = np.asarray(x) * [1, 2, 3] + [0, -1, 5]
    np.testing.assert_allclose(
        network.apply(params, state, x)[0], expected, rtol=1e-5, atol=1e-6
    )


def group_norm(x, epsilon=1e-5):
    x = np.asarray(x, np.float64)
    mean, var = (f(x, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.var))
    return (x - mean) / np.sqrt(var + epsilon)


@pytest.mark.parametrize("size", [1, 1e-2, 1e-3])
def test_group_norm_has_torch_s_epsilon(size):
    norm = GroupNorm(3, rngs=nnx.Rngs(0))
    x = size * normal(2, 4, 5, 3)
    assert error(norm(x), group_norm(x)) < 1e-5
    assert error(group_norm(x, 1e-6), group_norm(x)) > 1e-2 * 1e-4 / size**2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_group_norm_of_half_precision_sums_in_single(dtype):
    """Squares beyond float16's 65504, and more values than bfloat16 can count."""
    norm = GroupNorm(8, rngs=nnx.Rngs(0))
    x = (300 + 500 * normal(2, 40, 40, 8)).astype(dtype)
    out = norm(x)
    assert out.dtype == dtype
    assert np.abs(np.float32(out) - group_norm(x)).max() < 0.02


def test_dynamic_kernels_are_each_example_s_own():
    make = functools.partial(DynamicConv, 8, kernel_size=3, num_groups=3)
    network, params, state = started(make)

    @quick_jit
    def run(x):
        module = nnx.merge(network.graphdef, params, state)
        return module(x), module.kernels_of(x)

    x = normal(3, 6, 5, 8)
    together, (kernels, bias) = run(x)
    alone, _ = run(x[1:2])
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-4, atol=1e-5)
    assert kernels.shape == (3, 3, 3, 8) and bias.shape == (3, 1, 1, 8)
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    # A mixture lies between the groups' kernels.
    for mixed, groups in ((kernels, params["kernels"]), (bias, params["bias"])):
        groups = np.asarray(groups)
        assert np.all(np.asarray(mixed) >= groups.min(-2) - 1e-6)
        assert np.all(np.asarray(mixed) <= groups.max(-2) + 1e-6)


def test_a_batch_of_one_takes_the_statistics_of_the_pooled_map():
    make = functools.partial(DynamicConv, 8, kernel_size=3)
    network, params, state = started(make)
    x = 2 + normal(1, 7, 6, 8)

    @quick_jit
    def run(params):
        def objective(params):
            out, after = network.apply(params, state, x, train=True)
            return jnp.square(out).sum(), (out, after)

        return jax.grad(objective, has_aux=True)(params)

    gradients, (out, after) = run(params)
    assert np.isfinite(out).all()
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path
    pooled = adaptive_average_pool(x[0], 3).reshape(-1, 8)
    hidden = np.asarray(pooled @ params["reduce"]["kernel"], np.float64)
    np.testing.assert_allclose(
        after["norm"]["mean"], 0.1 * hidden.mean(0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        after["norm"]["var"], 0.9 + 0.1 * hidden.var(0, ddof=1), rtol=1e-4
    )


def test_larger_batches_update_the_statistics_twice_as_the_official_code():
    make = functools.partial(DynamicConv, 8, kernel_size=3)
    network, params, state = started(make)
    x = 2 + normal(2, 7, 6, 8)
    run = quick_jit(functools.partial(network.apply, train=True))
    _, after = run(params, state, x)
    pool = jax.vmap(lambda image: adaptive_average_pool(image, 3))
    means = [
        np.mean(map_.reshape(-1, 8) @ params["reduce"]["kernel"], axis=0)
        for map_ in (pool(x), x.mean((1, 2)))
    ]
    expected = 0.9 * 0.1 * means[0] + 0.1 * means[1]
    np.testing.assert_allclose(after["norm"]["mean"], expected, rtol=1e-4, atol=1e-6)


def test_attention_weights_of_pictures_are_those_of_the_call():
    make = functools.partial(ReducedAttention, 8, num_heads=2, reduction=2, scale=0.7)
    network, params, state = started(make)

    @quick_jit
    def run(x, position):
        module = nnx.merge(network.graphdef, params, state)
        _, _, value = module._projections(x, train=False)
        return module(x, position), module.weights(x, position), value

    x = normal(2, 7, 5, 8)
    out, seen, value = run(x, normal(2, 35, 12))
    assert seen.shape == (2, 2, 35, 12)
    np.testing.assert_allclose(seen.sum(-1), np.ones((2, 2, 35)), rtol=1e-5)
    expected = jnp.einsum("bnts,bsnd->btnd", seen, value).reshape(x.shape)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_positions_are_added_to_the_logits():
    """A large one makes a query see one key alone, whatever the contents are."""
    make = functools.partial(ReducedAttention, 8, num_heads=2)
    network, params, state = started(make)
    module = nnx.merge(network.graphdef, params, state)
    position = jnp.zeros((2, 12, 12)).at[1, 3, 7].set(1e4)
    seen = quick_jit(module.weights)(normal(1, 3, 4, 8), position)
    np.testing.assert_allclose(seen[0, 1, 3], np.eye(12)[7], atol=1e-6)
    assert seen[0, 0, 3].max() < 0.9 and seen[0, 1, 4].max() < 0.9


def test_the_halves_of_the_mixer():
    """The first half is convolved, the second attends, and both are joined."""
    make = functools.partial(DualMixer, 8, kernel_size=3, num_heads=2)
    network, params, state = started(make)

    @quick_jit
    def run(x):
        module = nnx.merge(network.graphdef, params, state)
        first, second = module.local(x[..., :4]), module.attention(x[..., 4:])
        joined = jnp.concatenate([first, second], axis=-1)
        return module(x), module.enhance(joined)

    out, expected = run(normal(1, 9, 9, 8))
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (functools.partial(DualMixer, 9), "channels must be even, for two halves"),
        (
            functools.partial(ReducedAttention, 8, num_heads=3),
            "channels must be a multiple of num_heads=3; got 8",
        ),
    ],
)
def test_what_cannot_be_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make(rngs=nnx.Rngs(0))


def test_half_precision():
    """Parameters and inputs in it give outputs in it, near those of float32."""
    network, params, state = started(small_block())
    inputs = normal(2, 6, 4, 8), normal(2, 24, 6)
    narrow = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, inputs))
    run = quick_jit(network.apply)
    out, _ = run(narrow[0], state, *narrow[1])
    expected, _ = run(params, state, *inputs)
    assert out.dtype == jnp.bfloat16
    assert error(out, expected) < 0.04
