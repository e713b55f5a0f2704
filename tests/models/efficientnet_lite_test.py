"""EfficientNet-Lite: its size, its padding, its two outputs, training."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.models import efficientnet_lite
from gpsattn_jax.models.efficientnet_lite import Config, same_padding
from gpsattn_jax.modules import Functional

SMALL = Config(
    depths=(1, 2),
    widths=(4, 6),
    kernel_sizes=(3, 5),
    strides=(1, 2),
    expansions=(1, 3),
    stem_width=8,
    head_width=10,
    image_size=16,
    num_classes=5,
)

# The published size of each variant, with 1000 classes.
PARAMETERS = {"lite0": 4_652_008}


def images(*shape):
    values = np.random.default_rng(0).standard_normal(shape)
    return jnp.asarray(values, jnp.float32)


def test_published_sizes():
    assert set(PARAMETERS) == set(efficientnet_lite.VARIANTS)
    for name, config in efficientnet_lite.VARIANTS.items():
        params, _ = efficientnet_lite.build(config).shapes()
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == PARAMETERS[name]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("lengths", [(8, 9), (1, 2), (7, 4)])
def test_the_padding_is_tensorflows(lengths, size, stride):
    expected = jax.lax.padtype_to_pads(lengths, (size,) * 2, (stride,) * 2, "SAME")
    assert same_padding(lengths, size, stride) == tuple(expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("rows, columns", [(8, 9), (3, 2)])
def test_depthwise_convolution_is_lax_with_same_padding(rows, columns, stride):
    network = Functional(
        lambda rngs: efficientnet_lite.SameDepthwiseConv(
            4, 5, stride=stride, use_bias=False, rngs=rngs
        )
    )
    params, state = network.init(jax.random.key(0))
    x = images(2, rows, columns, 4)
    expected = jax.lax.conv_general_dilated(
        x,
        params["kernel"][:, :, None],
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=4,
    )
    found, _ = network.apply(params, state, x)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_logits_are_the_head_of_the_features():
    network = efficientnet_lite.build(SMALL)
    params, state = network.init(jax.random.key(0))
    bare = efficientnet_lite.build(dataclasses.replace(SMALL, features_only=True))
    head = params.pop("head")
    x = images(3, 15, 18, 3)
    run = jax.jit(bare.apply)
    features, _ = run(params, state, x)
    logits, _ = jax.jit(network.apply)(params | {"head": head}, state, x)
    assert features.shape == (3, 10) and logits.shape == (3, 5)
    np.testing.assert_allclose(logits, features @ head["kernel"], rtol=1e-5, atol=1e-6)
    alone, _ = run(params, state, x[1:2])
    np.testing.assert_allclose(alone[0], features[1], rtol=1e-4, atol=1e-6)


def test_blocks_are_residual_where_shapes_allow_it():
    """A block of zeros passes its input on, or nothing."""
    for stride, channels in ((1, 4), (1, 6), (2, 4)):
        network = Functional(
            lambda rngs, stride=stride, channels=channels: efficientnet_lite.Block(
                4, channels, 3, stride=stride, expansion=2, rngs=rngs
            )
        )
        params, state = network.init(jax.random.key(0))
        params["project"]["kernel"] *= 0
        x = images(1, 6, 6, 4)
        out, _ = network.apply(params, state, x)
        expected = x if (stride, channels) == (1, 4) else jnp.zeros_like(out)
        np.testing.assert_array_equal(out, expected)


def test_training_moves_statistics_and_reaches_every_parameter():
    network = efficientnet_lite.build(SMALL)
    params, state = network.init(jax.random.key(0))
    x, labels = images(8, 16, 16, 3), jnp.arange(8) % 5

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params):
        logits, new_state = network.apply(params, state, x, train=True)
        chosen = jax.nn.log_softmax(logits)[jnp.arange(8), labels]
        return -chosen.mean(), new_state

    gradients, new_state = gradient(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path
    for old, new in zip(
        jax.tree.leaves(state), jax.tree.leaves(new_state), strict=True
    ):
        assert np.abs(old - new).max() > 0
    _, same = jax.jit(network.apply)(params, state, x)
    jax.tree.map(np.testing.assert_array_equal, same, state)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"depths": (1,)}, "widths must have one entry for each of the 1 stages"),
        ({"kernel_sizes": (3, 4)}, r"kernel_sizes must be odd; got \(3, 4\)"),
        ({"strides": (1, 3)}, r"strides must be 1 or 2; got \(1, 3\)"),
    ],
)
def test_wrong_configs_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **wrong)
