"""A network folded for inference gives what it gave before, and cannot be trained."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.models import transxnet
from gpsattn_jax.models.transxnet_folded import fold_for_inference

CONFIG = transxnet.Config(
    depths=(1, 1),
    widths=(8, 16),
    num_heads=(1, 2),
    num_groups=(2, 3),
    kernel_sizes=(3, 5),
    reductions=(2, 1),
    mlp_ratios=(4, 2.5),
    remat=(False, False),
    image_size=16,
    num_classes=5,
)


def shaken(network, seed=0):
    """Parameters and statistics away from trivial values; variances above zero."""
    draw = np.random.default_rng(seed)

    def shake(path, leaf):
        noise = draw.standard_normal(leaf.shape)
        name = jax.tree_util.keystr(path, simple=True, separator="/").split("/")[-1]
        if name == "var":
            return jnp.exp(0.3 * noise)
        return jnp.asarray(1 + 0.25 * noise if leaf.ndim == 1 else 0.3 * noise)

    return jax.tree_util.tree_map_with_path(shake, network.shapes())


@pytest.mark.parametrize(
    "changes", [{}, {"layer_scale": None}, {"norm": "batch", "features_only": True}]
)
def test_the_outputs_stay(changes, x64):
    """In double precision, where no rounding hides a fold that is not exact."""
    config = dataclasses.replace(CONFIG, **changes)
    network = transxnet.build(config)
    params, state = shaken(network)
    images = np.random.default_rng(1).standard_normal((2, 19, 16, 3))
    folded = fold_for_inference(config, params, state)
    expected, _ = jax.jit(network.apply)(params, state, images)
    found, _ = jax.jit(folded[0].apply)(*folded[1:], images)
    for one, other in zip(
        jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    ):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-12)


def test_only_the_norms_before_convolutions_are_left():
    network = transxnet.build(CONFIG)
    _, _, state = fold_for_inference(CONFIG, *shaken(network))
    paths = jax.tree_util.tree_leaves_with_path(state)
    names = {
        jax.tree_util.keystr(path[:-1], simple=True, separator="/").split("/")[-1]
        for path, _ in paths
    }
    assert names == {"expand_norm"}


def test_it_cannot_be_trained():
    network, params, state = fold_for_inference(
        CONFIG, *shaken(transxnet.build(CONFIG))
    )
    images = jnp.ones((2, 16, 16, 3))
    with pytest.raises(ValueError, match="folded for inference cannot be trained"):
        network.apply(params, state, images, train=True, rng=jax.random.key(0))
