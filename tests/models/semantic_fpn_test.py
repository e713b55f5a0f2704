"""Semantic FPN: maps of any backbone, gradients, what training drops."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.models import gsanet, semantic_fpn
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.layers import conv
from tests.golden_transxnet import quick_jit

RESNET = gsanet.Config(
    layers=(1, 1), widths=(4, 8), mixers=("gsa", "conv"), num_heads=2, image_size=16,
    expansion=2, features_only=True,
)  # fmt: skip
CONFIG = semantic_fpn.Config(
    backbone="gsanet", gsanet=RESNET, channels=6, head_channels=8, num_classes=3,
    dropout=0.5,
)  # fmt: skip


def test_gradients_reach_every_part_and_are_finite():
    network = semantic_fpn.build(CONFIG)
    params, state = network.init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (2, 16, 16, 3))

    @quick_jit
    def gradient(params):
        def loss(params):
            logits, new = network.apply(
                params, state, images, train=True, rng=jax.random.key(2)
            )
            return jnp.square(logits - 1).mean(), new

        return jax.grad(loss, has_aux=True)(params)

    found, new = gradient(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        name = jax.tree_util.keystr(path)
        assert np.isfinite(leaf).all(), name
        # A norm's scale that starts at zero hides what is below it.
        assert (leaf != 0).any() or "backbone" in name, name
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), new, state)
    assert all(jax.tree.leaves(moved["scales"]))


class Halving(nnx.Module):
    """A backbone of one's own: three maps, each half as high and wide as before."""

    def __init__(self, *, rngs):
        widths = (3, 4, 5, 6)
        self.layers = nnx.List(
            conv(before, after, 3, stride=2, rngs=rngs)
            for before, after in zip(widths, widths[1:], strict=False)
        )

    def __call__(self, images, *, train=False, rngs=None):
        del train, rngs
        maps = [images]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        return maps[1:]


def test_any_backbone_that_gives_maps_will_do():
    def make(rngs):
        return semantic_fpn.SemanticFPN(
            Halving(rngs=rngs), (4, 5, 6), channels=6, head_channels=7, dropout=0.5,
            num_classes=2, rngs=rngs,
        )  # fmt: skip

    network = Functional(make)
    params, state = network.init(jax.random.key(0))
    images = jnp.ones((1, 21, 13, 3))
    apply = quick_jit(network.apply, static_argnames="train")
    logits, _ = apply(params, state, images)
    assert logits.shape == (1, 21, 13, 2)
    one, _ = apply(params, state, images, train=True, rng=jax.random.key(0))
    other, _ = apply(params, state, images, train=True, rng=jax.random.key(1))
    assert (one != other).any()
    with pytest.raises(ValueError, match="dropout needs a random key in training"):
        network.apply(params, state, images, train=True)


def test_a_backbone_without_maps_is_refused():
    head = dataclasses.replace(RESNET, features_only=False)
    with pytest.raises(
        ValueError, match="gsanet.features_only must be True; got False"
    ):
        dataclasses.replace(CONFIG, gsanet=head)
    assert (CONFIG.image_size, CONFIG.in_channels) == (16, 3)
