"""A block of every network: compiled or operation by operation, the same numbers."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.models import gpsnet, gsanet, pglsum
from gpsattn_jax.models.gpsnet import block
from gpsattn_jax.modules import Functional
from gpsattn_jax.modules.dual_mixer import DualMixer

ROWS = (1, 3, 32_769)  # examples; from 32,769 on a JAX once was wrong


def gsa_block(rngs):
    options = gsanet.mixer_options(gsanet.Config(num_heads=2), 2)
    return gsanet.Bottleneck(
        2, 2, expansion=1, stride=1, mixer=gsanet.MIXERS["gsa"], options=options,
        rngs=rngs,
    )  # fmt: skip


def gps_block(rngs):
    config = gpsnet.Config(
        num_joints=3, edges=((0, 1), (1, 2)), root=1, num_heads=1, widths=(8,),
        strides=(1,),
    )  # fmt: skip
    distances = gpsnet.skeleton_distances(config)
    return block.Block(config, 8, 8, 1, distances, rngs=rngs)


def pgl_block(rngs):
    config = pglsum.Config(input_size=4, num_heads=2, num_segments=2, local_heads=1)
    return pglsum.MultiAttention(config, rngs=rngs)


def transx_block(rngs):
    return DualMixer(
        8, kernel_size=3, num_groups=2, num_heads=1, reduction=1, rngs=rngs
    )


BLOCKS = {
    "GSA-Net": (gsa_block, [(2, 2, 2)]),
    "GPS-Net": (gps_block, [(2, 3, 8), (2,)]),
    "PGL-SUM": (pgl_block, [(3, 4), "length"]),
    "TransXNet": (transx_block, [(2, 2, 8)]),
}


@pytest.mark.parametrize(("make", "shapes"), BLOCKS.values(), ids=BLOCKS)
def test_jit_equals_op_by_op(make, shapes):
    network = Functional(make)
    params, state = network.init(jax.random.key(0))
    for rows in ROWS:
        draw = np.random.default_rng(rows)
        inputs = [
            jnp.asarray(draw.integers(1, 4, rows))
            if shape == "length"
            else jnp.asarray(draw.standard_normal((rows, *shape), np.float32))
            for shape in shapes
        ]
        compiled, _ = jax.jit(network.apply)(params, state, *inputs)
        plain, _ = network.apply(params, state, *inputs)
        chex.assert_trees_all_close(compiled, plain, rtol=1e-5, atol=1e-5)
