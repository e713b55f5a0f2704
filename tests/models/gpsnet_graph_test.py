"""The graph network that stands beside GPS-Net: its graphs, against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.models import gpsnet
from gpsattn_jax.models.gpsnet.graph_block import (
    DILATIONS,
    KERNEL_SIZE,
    MultiScaleConv,
    RefinedGraphConv,
    skeleton_adjacency,
)

# 0 - 1 - 3 - 4, and 2 at 1; bones are counted from 1.
CONFIG = gpsnet.Config(
    num_classes=3, num_joints=5, in_channels=2, edges=((0, 1), (1, 2), (1, 3), (3, 4)),
    root=1, block="graph", widths=(8, 12), strides=(1, 2), num_heads=4,
)  # fmt: skip


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def convolution(strength):
    module = RefinedGraphConv(8, skeleton_adjacency(CONFIG), rngs=nnx.Rngs(0))
    module.strength[...] = jnp.full((3,), strength)
    return module


def test_bones_towards_the_root_and_away():
    own, inward, outward = skeleton_adjacency(CONFIG)
    np.testing.assert_array_equal(own, np.eye(5))
    wanted = np.zeros((5, 5))
    for joint, nearer in ((0, 1), (2, 1), (3, 1), (4, 3)):
        wanted[joint, nearer] = 1
    np.testing.assert_array_equal(inward, wanted)
    np.testing.assert_allclose(outward[1], np.array([1, 0, 1, 1, 0]) / 3, rtol=1e-6)
    np.testing.assert_array_equal(outward[[0, 2, 4]], np.zeros((3, 5)))


def test_a_graph_convolution_in_loops():
    module, x = convolution(0.5), numbers(2, 4, 5, 8)
    small = module.refinement[...].shape[1]
    both = np.asarray(module.compared(x.mean(1))).reshape(2, 5, 2, 3, small)
    value = np.asarray(module.value(x)).reshape(2, 4, 5, 3, 8)
    weights, shared = (
        np.asarray(p[...]) for p in (module.refinement, module.adjacency)
    )
    wanted = np.zeros((2, 4, 5, 8))
    for clip, subset, joint, other in np.ndindex(2, 3, 5, 5):
        gap = np.tanh(both[clip, joint, 0, subset] - both[clip, other, 1, subset])
        graph = shared[subset, joint, other] + 0.5 * gap @ weights[subset]
        wanted[clip, :, joint] += graph * value[clip, :, other, subset]
    np.testing.assert_allclose(module(x), wanted, atol=2e-5)


def test_the_graph_is_the_skeleton_at_first_and_each_clips_own_later():
    x = numbers(2, 4, 5, 8)
    first = np.asarray(convolution(0.0).graphs(x))
    wanted = np.broadcast_to(skeleton_adjacency(CONFIG)[None, ..., None], first.shape)
    np.testing.assert_array_equal(first, wanted)
    later = np.asarray(convolution(1.0).graphs(x))
    assert abs(later[0] - later[1]).max() > 0.01  # clips differ
    assert abs(later[..., 0] - later[..., 1]).max() > 0.01  # channels do


def test_a_network_learns_its_adjacency():
    network = gpsnet.build(CONFIG)
    params, state = network.init(jax.random.key(0))
    joints, labels = numbers(4, 1, 6, 5, 2), np.array([0, 1, 2, 0])

    def loss(params):
        logits, _ = network.apply(
            params, state, joints, train=True, rng=jax.random.key(1)
        )
        assert logits.shape == (4, 3)
        chosen = jax.nn.log_softmax(logits)[np.arange(4), labels]
        return -chosen.mean()

    gradients = jax.jit(jax.grad(loss))(params)
    for stack in gradients["blocks"].values():
        assert (np.abs(stack["graph"]["adjacency"]) > 1e-7).all()
        assert np.abs(stack["graph"]["strength"]).min() > 1e-7


def test_convolutions_along_time_in_loops():
    module, x = MultiScaleConv(8, 2, rngs=nnx.Rngs(0)), numbers(2, 7, 5, 8)
    found = np.asarray(module(x))
    inner = np.asarray(jax.nn.relu(module.norm(module.point(x))))
    padded = np.pad(inner, ((0, 0), (8, 8), (0, 0), (0, 0)))
    for out, frame in enumerate(range(0, 7, 2)):
        for branch, dilation in enumerate(DILATIONS):
            reach = range(-(KERNEL_SIZE // 2), KERNEL_SIZE // 2 + 1)
            window = [
                padded[:, 8 + frame + k * dilation, :, 2 * branch : 2 * branch + 2]
                for k in reach
            ]
            kernel = np.asarray(module.convolutions[branch].kernel[...])
            wanted = np.concatenate(window, -1) @ kernel
            np.testing.assert_allclose(
                found[:, out, :, 2 * branch : 2 * branch + 2], wanted, atol=1e-5
            )
        near = padded[:, 7 + frame : 10 + frame, :, 4:6].max(1)
        np.testing.assert_allclose(found[:, out, :, 4:6], near, atol=1e-6)
        own = inner[:, frame, :, 6:]
        np.testing.assert_allclose(found[:, out, :, 6:], own, atol=1e-6)


def test_channels_that_four_branches_cannot_share():
    with pytest.raises(ValueError, match="channels must be a multiple of 4; got 6"):
        MultiScaleConv(6, 1, rngs=nnx.Rngs(0))
