"""Masked means masked: NaN and infinity behind every mask of every network."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.models import gpsnet, pglsum
from gpsattn_jax.modules import positional_attention
from tests.kernels.rows import quick_jit


def value_and_gradients(network, weights, train, *inputs, **named):
    """The result, and the gradients of parameters and of the first input."""
    params, state = weights
    rng = jax.random.key(1) if train else None

    @quick_jit
    def run(params, first, *others):
        def objective(params, first):
            out, _ = network.apply(
                params, state, first, *others, train=train, rng=rng, **named
            )
            return (out * jnp.cos(jnp.arange(out.size).reshape(out.shape))).sum(), out

        return jax.grad(objective, argnums=(0, 1), has_aux=True)(params, first)

    return run(params, *inputs)


def assert_same(run, clean, spoilt):
    """`run` gives the same finite numbers for both."""
    expected, found = run(clean), run(spoilt)
    chex.assert_tree_all_finite(found)
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("long", [False, True])
def test_the_padding_of_a_video(bad, train, long, monkeypatch):
    """At once and, as long videos are, in blocks."""
    monkeypatch.setattr(positional_attention, "LONG", 4 if long else 10_000)
    config = pglsum.Config(input_size=8, num_heads=2, num_segments=2, local_heads=2)
    network = pglsum.build(config)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 9, 8), np.float32))
    length = jnp.array([6, 9])
    assert_same(
        lambda x: value_and_gradients(
            network, network.init(jax.random.key(0)), train, x, length
        ),
        x,
        x.at[0, 6:].set(bad),
    )


OPTIONS = {
    "joints": {},
    "bone motions, distances": {
        "stream": "bone_motion", "distances": True, "distance_motions": (1,),
        "pooling": "mean_max",
    },
}  # fmt: skip


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_missing_joints_frames_and_persons(bad, train, options):
    config = gpsnet.Config(
        num_classes=3, num_joints=4, edges=((0, 1), (1, 2), (1, 3)), anchors=(0, 2),
        widths=(4, 4), strides=(1, 2), num_heads=2, **options,
    )  # fmt: skip
    network = gpsnet.build(config)
    draw = np.random.default_rng(0)
    joints = jnp.asarray(draw.standard_normal((2, 2, 6, 4, 3), np.float32))
    mask = np.ones((2, 2, 6, 4), bool)
    mask[0, 1] = False  # a person
    mask[1, :, 4:] = False  # frames
    mask[:, 0, 2, 3] = False  # a joint
    mask = jnp.asarray(mask)
    assert_same(
        lambda x: value_and_gradients(
            network, network.init(jax.random.key(0)), train, x, mask
        ),
        joints,
        jnp.where(mask[..., None], joints, bad),
    )
