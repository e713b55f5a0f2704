"""Nothing in, of every system: refused by name, and the smallest inputs are taken."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.models import gpsnet, gsanet, pglsum, transxnet
from tests.convert.transxnet_test import SMALL as TRANSXNET

GSANET = dataclasses.replace(
    gsanet.VARIANTS["8px"], layers=(1,), widths=(8,), mixers=("gsa",)
)
PGLSUM = pglsum.Config(
    input_size=12, hidden_size=8, num_heads=2, local_heads=2, num_segments=2
)
GPSNET = gpsnet.VARIANTS["tiny"]
SYSTEMS = {
    "gpsnet": (gpsnet, GPSNET),
    "gsanet": (gsanet, GSANET),
    "pglsum": (pglsum, PGLSUM),
    "transxnet": (transxnet, TRANSXNET),
}


def clips(batch, persons, frames):
    joints = GPSNET.num_joints
    shape = batch, persons, frames, joints
    return {
        "joints": jnp.zeros((*shape, GPSNET.in_channels)),
        "mask": jnp.ones(shape, bool),
        "time": jnp.zeros((batch, frames)),
    }


def videos(batch, steps):
    return {
        "features": jnp.zeros((batch, steps, 12)),
        "length": jnp.full((batch,), steps, jnp.int32),
    }


def pictures(*shape):
    return {"images": jnp.zeros(shape)}


EMPTY = [
    ("gpsnet", clips(0, 1, 8), "joints"),
    ("gpsnet", clips(1, 0, 8), "joints"),  # no person
    ("gpsnet", clips(1, 1, 0), "joints"),
    ("gsanet", pictures(0, 8, 8, 1), "images"),
    ("gsanet", pictures(1, 0, 8, 1), "images"),
    ("gsanet", pictures(1, 8, 8, 0), "images"),
    ("pglsum", videos(0, 6), "features"),
    ("pglsum", videos(2, 0), "features"),
    ("transxnet", pictures(0, 16, 16, 3), "images"),
    ("transxnet", pictures(1, 16, 0, 3), "images"),
    ("transxnet", pictures(1, 16, 16, 0), "images"),
]
# The least that each takes, and of a stride what is smaller is refused by name.
LEAST = {
    "gpsnet": clips(1, 1, 1),
    "gsanet": pictures(1, 3, 3, 1),
    "pglsum": videos(1, 1),
    "transxnet": pictures(1, 8, 8, 3),
}


def apply(system, inputs, *, train=False):
    """The shapes of what comes out: traced, which is when inputs are checked."""
    module, config = SYSTEMS[system]
    network = module.build(config)
    return jax.eval_shape(
        lambda weights, inputs: network.apply(
            *weights, **inputs, train=train, rng=jax.random.key(0)
        )[0],
        network.shapes(),
        inputs,
    )


@pytest.mark.parametrize("train", [False, True], ids=["evaluate", "train"])
@pytest.mark.parametrize(("system", "inputs", "name"), EMPTY)
def test_empty_inputs_are_refused_by_name(system, inputs, name, train):
    shape = str(inputs[name].shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"{name} must be .*at least 1; got {shape}"):
        apply(system, inputs, train=train)


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_the_smallest_inputs_give_finite_numbers(system):
    module, config = SYSTEMS[system]
    network = module.build(config)
    weights = network.init(jax.random.key(0))
    found, _ = jax.jit(network.apply)(*weights, **LEAST[system])
    assert found.shape[0] == 1 and np.isfinite(found).all()


def test_pictures_below_the_stride_are_refused():
    with pytest.raises(ValueError, match="images must be at least 8 x 8 pixels"):
        apply("transxnet", pictures(1, 3, 3, 3))


def test_clips_and_videos_of_which_all_is_masked_give_finite_numbers():
    for system, inputs in (
        ("gpsnet", clips(1, 1, 1) | {"mask": jnp.zeros((1, 1, 1, 25), bool)}),
        ("pglsum", videos(1, 3) | {"length": jnp.zeros((1,), jnp.int32)}),
    ):
        module, config = SYSTEMS[system]
        network = module.build(config)
        weights = network.init(jax.random.key(0))
        found, _ = jax.jit(network.apply)(*weights, **inputs)
        assert np.isfinite(found).all(), system


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_no_heads_are_refused(system, number):
    module, config = SYSTEMS[system]
    heads = number
    if isinstance(config.num_heads, tuple):
        heads = (number,) * len(config.num_heads)
    with pytest.raises(ValueError, match=r"heads.* must .*got .*(0|-1)"):
        module.build(dataclasses.replace(config, num_heads=heads)).shapes()
