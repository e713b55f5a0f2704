"""TransXNets against the official code's arrays; counts, names, sizes, options."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.convert.transxnet_rules import network_rules
from gpsattn_jax.models import transxnet
from gpsattn_jax.stacks import unstack
from tests import golden_transxnet
from tests.golden_transxnet import (
    channels_last,
    error,
    made_network,
    prefixed,
    quick_jit,
    tree_errors,
    weights,
)

# With a head of 1000 classes, and with feature norms instead.
PARAMETERS = {
    "tiny": (12_834_808, 12_386_544),
    "small": (26_864_068, 26_352_092),
    "base": (48_009_002, 47_337_130),
}
LETTERS = {"tiny": "t", "small": "s", "base": "b"}

# One stage of four-pixel patches: everything that a network has, but its depth.
SMALL = transxnet.Config(
    depths=(2,),
    widths=(8,),
    num_heads=(2,),
    num_groups=(2,),
    kernel_sizes=(3,),
    reductions=(2,),
    mlp_ratios=(2,),
    remat=(False,),
    image_size=16,
    layer_scale=0.5,
    drop_path=0.0,
    num_classes=3,
)


TWICE = dataclasses.replace(
    SMALL,
    **{name: 2 * getattr(SMALL, name) for name in transxnet.PER_STAGE},
    depths=(1, 1),
)
MINI = transxnet.Config(
    depths=(1, 1, 2, 1),
    widths=(8, 16, 24, 32),
    num_heads=(1, 2, 3, 4),
    num_groups=(2, 2, 3, 4),
    image_size=32,
    drop_path=0.0,
)


def count_parameters(config):
    shapes = golden_transxnet.network_shapes(config).items()
    return sum(leaf.size for path, leaf in shapes if path.startswith("params/"))


def normal(*shape, seed=1):
    return jax.random.normal(jax.random.key(seed), shape)


def trace(network, *shape, train=False):
    """Shapes and dtypes of what it gives, without computing anything."""
    images = jax.ShapeDtypeStruct(shape or (2, 16, 16, 3), jnp.float32)
    apply = functools.partial(network.apply, train=train)
    return jax.eval_shape(apply, *network.shapes(), images)


def out_shape(config, *shape):
    return trace(transxnet.build(config), *shape)[0].shape


# Counts and names.


def test_no_variant_is_missing():
    assert set(PARAMETERS) == set(transxnet.VARIANTS) == set(LETTERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    config = transxnet.VARIANTS[name]
    features = dataclasses.replace(config, features_only=True)
    assert (count_parameters(config), count_parameters(features)) == PARAMETERS[name]


slow = functools.partial(pytest.param, marks=pytest.mark.slow)


both = pytest.mark.slow, pytest.mark.exhaustive
WHOLE = [
    pytest.param(config, marks=both[: 1 if name == "tiny" else 2])
    for name, config in transxnet.VARIANTS.items()
]


@pytest.mark.parametrize("config", [MINI, *WHOLE], ids=["mini", *PARAMETERS])
def test_shapes_of_the_whole_network(config):
    """That all blocks of a stage are alike, on which the counts above rely."""
    shallow = golden_transxnet.network_shapes(config)
    assert golden_transxnet.shapes_by_path(config) == shallow


@pytest.mark.parametrize("name", PARAMETERS)
def test_names_and_shapes_are_the_official_ones(golden, name):
    theirs = golden_transxnet.manifest(golden, LETTERS[name])
    ours = golden_transxnet.names_and_shapes(transxnet.VARIANTS[name])
    assert ours == theirs


def test_names_of_the_feature_norms(golden):
    """The official code has no classifier then, and a norm after every stage."""
    classes = golden_transxnet.manifest(golden, "t")
    expected = {n: s for n, s in classes.items() if not n.startswith("classifier.")}
    for stage, width in enumerate((48, 96, 224, 448)):
        for part in ("weight", "bias"):
            expected[f"norm{2 * stage}.{part}"] = (width,)
    config = dataclasses.replace(transxnet.Config(), features_only=True)
    assert golden_transxnet.names_and_shapes(config) == expected


def test_every_array_of_ours_has_one_official_name():
    for config in (*transxnet.VARIANTS.values(), SMALL):
        paths = [rule.path for rule in network_rules(config) if rule.path is not None]
        assert sorted(paths) == sorted(golden_transxnet.network_shapes(config))


# Against the official code: a small model with everything, whole published ones.


@pytest.fixture(scope="module")
def mini(golden):
    file, described = golden_transxnet.read(golden, "mini_model")
    config = golden_transxnet.mini_config(described)
    rules = network_rules(config)
    network = transxnet.build(config)
    return file, config, rules, *weights(network, rules, prefixed(file, "param/"))


@functools.partial(quick_jit, static_argnums=0)
def run_part(graphdef, arrays, *inputs):
    return nnx.merge(graphdef, arrays)(*inputs)


def stage_maps(config, params, state, images):
    """The stages' outputs before any norm, and the logits.

    A block at a time: equal ones compile once, so that a deep network runs in seconds.
    """
    module = nnx.merge(transxnet.build(config).graphdef, params, state)

    def run(part, *inputs):
        return run_part(*nnx.split(part), *inputs)

    side, maps, x = config.image_size, [], run(module.stem, images)
    own, wanted = config.grids(side, side), config.grids(*images.shape[1:3])
    for place, stage in enumerate(module.stages):
        grids = own[place], wanted[place], config.table_resize
        position = transxnet.fit_table(stage.position[...], *grids)
        for block in stage.blocks:
            x = run(block, x, position)
        maps.append(x)
        if place < len(module.downsamples):
            x = run(module.downsamples[place], x)
    return maps, run(module.head, run(module.norm, x).mean(axis=(1, 2)))


def test_golden_mini_model(mini):
    file, config, _, params, state = mini
    images = channels_last(file["input"])
    maps, logits = stage_maps(config, params, state, images)
    for number, found in enumerate(maps, start=1):
        assert error(found, channels_last(file[f"stage{number}"])) < 5e-6
    assert error(logits, file["output64"]) < 5e-6


def test_golden_mini_model_of_another_size(mini):
    file, config, _, params, state = mini
    images = channels_last(file["input_b"])
    logits, same = quick_jit(transxnet.build(config).apply)(params, state, images)
    assert error(logits, file["output_b64"]) < 5e-6
    jax.tree.map(np.testing.assert_array_equal, same, state)


# Gradients in evaluation are those of the blocks, compared one by one.
@pytest.mark.slow
@pytest.mark.parametrize(
    "train", [True, pytest.param(False, marks=pytest.mark.exhaustive)]
)
def test_golden_gradients_of_the_mini_model(mini, train):
    file, config, rules, params, state = mini
    network, drawer = transxnet.build(config), "train/" if train else ""
    if train:  # neither a scan over blocks nor computing them again changes anything
        remat = dataclasses.replace(config, remat=(True, False, True, False))
        network = transxnet.build(remat)

    @quick_jit
    def run(params, images):
        def objective(params, images):
            out, after = network.apply(params, state, images, train=train)
            return jnp.vdot(out, file["cotangent"]), (out, after)

        return jax.grad(objective, argnums=(0, 1), has_aux=True)(params, images)

    images = jnp.asarray(channels_last(file["input"]))
    (gradients, gradient), (out, after) = run(params, images)
    limit = 1e-4 if train else 2e-5
    assert error(out, file[f"{drawer}output64"]) < (2e-5 if train else 5e-6)
    assert error(gradient, channels_last(file[f"{drawer}grad_input64"])) < limit
    arrays = prefixed(file, "param/")
    there = arrays | prefixed(file, f"{drawer}grad_param/")
    wanted, _ = weights(network, rules, there)
    name, worst = tree_errors(gradients, wanted, floor=1.0 if train else 1e-2)[0]
    assert worst < limit, name
    buffers = prefixed(file, "train/buffer_after/") if train else {}
    _, wanted = weights(network, rules, arrays | buffers)
    name, worst = tree_errors(after, wanted)[0]
    assert worst < (2e-5 if train else 1e-9), name


def test_golden_features(golden, mini):
    file, config, *_ = mini
    norms, _ = golden_transxnet.read(golden, "mini_model_features")
    config = dataclasses.replace(config, features_only=True)
    network = transxnet.build(config)
    arrays = prefixed(file, "param/") | prefixed(norms, "param/")
    arrays = {n: a for n, a in arrays.items() if not n.startswith("classifier.")}
    params, state = weights(network, network_rules(config), arrays)
    images = channels_last(file["input"])
    maps, _ = quick_jit(network.apply)(params, state, images)
    assert len(maps) == 4
    for number, found in enumerate(maps):
        assert error(found, channels_last(norms[f"output{number}"])) < 5e-6


exhaustive = functools.partial(pytest.param, marks=pytest.mark.exhaustive)


# A resized table, and a deeper network at its own size; the rest is of the same kinds.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tiny", "256x192"),
        ("small", "224x224"),
        exhaustive("tiny", "96x96"),
        exhaustive("tiny", "224x224"),
        exhaustive("base", "224x224"),
    ],
)
def test_golden_published_models(golden, name, size):
    letter, config = LETTERS[name], transxnet.VARIANTS[name]
    file, _ = golden_transxnet.read(golden, f"full_{letter}_{size}")
    shapes = golden_transxnet.manifest(golden, letter)
    arrays = golden_transxnet.made_weights(shapes, int(file["seed"]))
    floats = [array for array in arrays.values() if array.dtype == np.float32]
    total = sum(np.abs(array, dtype=np.float64).sum() for array in floats)
    np.testing.assert_allclose(total, file["check_param_abssum64"], rtol=1e-9)
    generator = np.random.RandomState(int(file["input_seed"]))
    images = generator.standard_normal(tuple(file["input_shape"])).astype(np.float32)
    np.testing.assert_array_equal(images.ravel()[:8], file["input_first8"])

    network = transxnet.build(config)
    params, state = weights(network, network_rules(config), arrays)
    maps, logits = stage_maps(config, params, state, channels_last(images))
    run_part.clear_cache()  # compiled code of five models would fill gigabytes
    assert error(logits, file["logits64"]) < 5e-6
    for number, found in enumerate(maps, start=1):
        found = np.asarray(found[0], np.float64)
        for kind, ours in (
            ("mean", found.mean((0, 1))),
            ("std", found.std((0, 1))),
            ("corner", np.moveaxis(found[:3, :3], -1, 0)),
        ):
            theirs = file[f"stage{number}_{kind}64"]
            assert error(ours, theirs) < 2e-5, (number, kind)


# What the official code cannot do.


def test_equal_neighbouring_widths():
    assert TWICE.widths == (8, 8)
    assert out_shape(TWICE, 2, 16, 16, 3) == (2, 3)


@pytest.mark.parametrize("how", transxnet.RESIZES)
def test_tables_for_other_images(how):
    config = dataclasses.replace(SMALL, table_resize=how)
    _, params, _ = made_network(config)
    resized = transxnet.resize_tables(config, params, 24, 40)
    table = params["stages"][0]["position"]
    expected = transxnet.fit_table(table, (4, 4, 2, 2), (6, 10, 3, 5), how)
    np.testing.assert_array_equal(resized["stages"][0]["position"], expected)
    for part in params.keys() - {"stages"}:
        assert resized[part] is params[part]
    assert resized["stages"][0]["blocks"] is params["stages"][0]["blocks"]


def test_tables_resized_before_the_call_or_in_it():
    """For square images they are those of a network of that size."""
    config = dataclasses.replace(SMALL, depths=(1,), table_resize="grid")
    network, params, state = made_network(config)
    larger = transxnet.build(dataclasses.replace(config, image_size=24))
    resized = transxnet.resize_tables(config, params, 24)
    wanted, _ = larger.shapes()
    assert jax.tree.map(jnp.shape, resized) == jax.tree.map(jnp.shape, wanted)
    images = normal(2, 24, 24, 3)

    @quick_jit
    @jax.value_and_grad
    def run(position):
        stages = {0: params["stages"][0] | {"position": position}}
        out, _ = network.apply(params | {"stages": stages}, state, images)
        return jnp.square(out).sum()

    value, gradient = run(params["stages"][0]["position"])
    assert np.abs(gradient).max() > 0
    out, _ = quick_jit(larger.apply)(resized, state, images)
    np.testing.assert_allclose(jnp.square(out).sum(), value, rtol=1e-5)


def test_resizing_along_the_grid():
    table = normal(2, 4 * 4, 2 * 2)
    grid, larger = (4, 4, 2, 2), (6, 10, 3, 5)
    for how in transxnet.RESIZES:
        assert transxnet.fit_table(table, grid, grid, how) is table
    flat, along = (
        transxnet.fit_table(table, grid, larger, how) for how in transxnet.RESIZES
    )
    assert flat.shape == along.shape == (2, 60, 15)
    assert np.abs(flat - along).max() > 0.1
    # What depends on the query's row alone stays so: the flat way mixes rows.
    rows = jnp.broadcast_to(jnp.arange(4.0)[:, None, None, None], (1, *grid))
    rows = rows.reshape(1, 16, 4)
    flat, along = (
        transxnet.fit_table(rows, grid, larger, how).reshape(*larger)
        for how in transxnet.RESIZES
    )
    assert np.ptp(along, axis=(1, 2, 3)).max() < 1e-5
    assert np.ptp(flat, axis=(1, 2, 3)).max() > 0.1


def test_a_batch_of_one_trains():
    network, params, state = made_network(dataclasses.replace(SMALL, depths=(1,)))

    @quick_jit
    def run(params, images):
        def objective(params):
            out, after = network.apply(params, state, images, train=True)
            return jnp.square(out).sum(), after

        return jax.value_and_grad(objective, has_aux=True)(params)

    (_, after), gradients = run(params, normal(1, 16, 16, 3))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))
    mixers = [
        block["mixer"]["local"]
        for block in unstack(after)["stages"][0]["blocks"].values()
    ]
    assert all(np.abs(mixer["norm"]["mean"]).max() > 0 for mixer in mixers)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path


def test_another_number_of_channels_and_any_size_above_the_stride():
    config = dataclasses.replace(SMALL, in_channels=1)
    for height, width in ((4, 4), (5, 18), (17, 7)):
        assert out_shape(config, 2, height, width, 1) == (2, 3)


def test_sizes_of_feature_maps_are_rounded_up():
    config = dataclasses.replace(MINI, features_only=True)
    maps, _ = trace(transxnet.build(config), 2, 90, 230, 3)
    expected = [(23, 58, 8), (12, 29, 16), (6, 15, 24), (3, 8, 32)]
    assert [found.shape[1:] for found in maps] == expected
    grids = config.grids(90, 230)
    assert grids == [(23, 58, 3, 8), (12, 29, 3, 8), (6, 15, 3, 8), (3, 8, 3, 8)]


# Options.


def drop_paths(config):
    module = nnx.eval_shape(lambda: transxnet.TransXNet(config, rngs=nnx.Rngs(0)))
    return [rate for stage in module.stages for rate in stage.rates]


def test_an_optimizer_sees_few_arrays():
    params, _ = transxnet.build(transxnet.VARIANTS["tiny"]).shapes()
    assert len(jax.tree.leaves(params)) <= 350


def test_drop_path_grows_linearly_over_all_blocks():
    config = dataclasses.replace(MINI, drop_path=0.17)
    assert sum(config.depths) == 5
    np.testing.assert_allclose(drop_paths(config), np.linspace(0, 0.17, 5), rtol=1e-12)


def test_one_block_drops_nothing():
    assert drop_paths(dataclasses.replace(SMALL, depths=(1,), drop_path=0.5)) == [0]


def test_training_draws_from_its_key():
    network, params, state = made_network(dataclasses.replace(SMALL, drop_path=0.5))
    images = normal(4, 16, 16, 3)
    run = quick_jit(functools.partial(network.apply, train=True))
    keys = jax.random.split(jax.random.key(0), 3)
    outs = [run(params, state, images, rng=key)[0] for key in keys]
    np.testing.assert_array_equal(outs[0], run(params, state, images, rng=keys[0])[0])
    assert any(np.abs(outs[0] - out).max() > 1e-3 for out in outs[1:])


@pytest.mark.parametrize("name", ["drop_path", "dropout"])
def test_a_key_is_needed_where_something_is_drawn(name):
    for rate, needed in ((0.0, False), (0.5, True)):
        network = transxnet.build(dataclasses.replace(SMALL, **{name: rate}))
        if needed:
            with pytest.raises(ValueError, match="rng"):
                trace(network, train=True)
        else:
            trace(network, train=True)
        trace(network)


def test_remat_is_of_the_chosen_stages():
    """That it changes no number is seen beside the official gradients above."""

    def count(*remat):
        network = transxnet.build(dataclasses.replace(TWICE, remat=remat))

        def forward(params, state, images):
            return network.apply(params, state, images, train=True)

        images = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32)
        jaxpr = jax.make_jaxpr(forward)(*network.shapes(), images)
        return str(jaxpr).count("remat")

    assert count(False, False) == 0
    assert 0 < count(True, False) < count(True, True)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype, train):
    """Parameters and images in it, statistics in float32, as a training step does."""
    network = transxnet.build(SMALL)
    params, state = network.shapes()
    narrow = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, dtype), params)
    images = jax.ShapeDtypeStruct((2, 16, 16, 3), dtype)
    apply = functools.partial(network.apply, train=train)
    out, after = jax.eval_shape(apply, narrow, state, images)
    assert out.dtype == dtype
    assert {leaf.dtype.name for leaf in jax.tree.leaves(after)} == {"float32"}


def test_no_layer_scale_and_batch_norms_change_what_is_there():
    def paths(**changes):
        config = dataclasses.replace(SMALL, **changes)
        return set(golden_transxnet.network_shapes(config))

    less = paths() - paths(layer_scale=None)
    assert {path.split("/")[-2] for path in less} == {
        "mixer_scale",
        "feedforward_scale",
    }
    assert paths(layer_scale=None) < paths()
    more = paths(norm="batch") - paths()
    assert {"/".join(path.split("/")[-2:]) for path in more} == {
        f"{norm}/{part}"
        for norm in ("mixer_norm", "feedforward_norm")
        for part in ("mean", "var")
    }


def test_the_starting_point():
    """Normal(0.02) kernels; scales and layer scales as told; all else zero."""
    params, state = transxnet.build(MINI).init(jax.random.key(0))
    leaves = jax.tree_util.tree_leaves_with_path(params)
    for path, leaf in leaves:
        names = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
        drawn = names[-1] in ("kernel", "kernels") or names[-2:] == ["local", "bias"]
        if names[-2].endswith("_scale"):
            expected = 1e-5 if names[-1] == "factor" else 0
        elif drawn:
            if leaf.size > 1000:
                np.testing.assert_allclose(leaf.std(), 0.02, rtol=0.1)
            assert 0 < np.abs(leaf).max() < 0.2
            continue
        else:
            expected = 1 if names[-1] == "scale" else 0
        np.testing.assert_allclose(leaf, np.full(leaf.shape, expected), rtol=1e-6)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        assert np.all(leaf == (1 if "var" in str(path[-1]) else 0))


def test_equal_configs_are_one_network():
    assert transxnet.build(transxnet.Config()) is transxnet.build(
        transxnet.VARIANTS["tiny"]
    )


# What cannot be is said.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_heads": (1, 2, 4)},
            "num_heads must have one entry for each of the 4 stages of depths="
            "(3, 3, 9, 3); got (1, 2, 4).",
        ),
        (
            {"depths": (3, 3)},
            "widths must have one entry for each of the 2 stages of depths=(3, 3); "
            "got (48, 96, 224, 448).",
        ),
        ({"norm": "layer"}, "norm must be one of group, batch; got 'layer'."),
        (
            {"table_resize": "linear"},
            "table_resize must be one of flat, grid; got 'linear'.",
        ),
        (
            {"num_heads": (1, 5, 4, 8)},
            "widths must be multiples of twice num_heads=(1, 5, 4, 8); "
            "got (48, 96, 224, 448).",
        ),
        (
            {"kernel_sizes": (7, 7, 6, 7)},
            "kernel_sizes must be odd; got (7, 7, 6, 7).",
        ),
        (
            {"reductions": (8, 4, 3, 1)},
            "reductions must be 1 or even; got (8, 4, 3, 1).",
        ),
        (
            {"image_size": 28},
            "image_size must be at least 32, the network's stride; got 28.",
        ),
    ],
)
def test_configs_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        transxnet.Config(**options)


@pytest.mark.parametrize("name", transxnet.PER_STAGE)
def test_every_entry_is_counted(name):
    entries = getattr(transxnet.Config(), name)
    for wrong in (entries[:3], (*entries, entries[-1]), ()):
        with pytest.raises(ValueError, match=f"^{name} must have one entry"):
            transxnet.Config(**{name: wrong})


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (
            (1, 32, 32, 1),
            "float32",
            "images must be [B, H, W, 3], each at least 1; got (1, 32, 32, 1).",
        ),
        (
            (1, 3, 32, 32),
            "float32",
            "images must be [B, H, W, 3], each at least 1; got (1, 3, 32, 32).",
        ),
        (
            (32, 32, 3),
            "float32",
            "images must be [B, H, W, 3], each at least 1; got (32, 32, 3).",
        ),
        (
            (1, 32, 32, 3),
            "uint8",
            "images must be floating-point and normalised (0..1, minus the mean, over "
            "the deviation); got uint8.",
        ),
        (
            (1, 64, 31, 3),
            "float32",
            "images must be at least 32 x 32 pixels, the network's stride; got "
            "64 x 31.",
        ),
    ],
)
def test_images_that_are_none(shape, dtype, message):
    network = transxnet.build(MINI)
    images = jax.ShapeDtypeStruct(shape, dtype)
    with pytest.raises(ValueError) as raised:
        jax.eval_shape(network.apply, *network.shapes(), images)
    assert str(raised.value) == message
