"""How kernels start: the distributions, and one draw for a whole network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.models import gsanet
from gpsattn_jax.modules.starts import (
    HE_FAN_OUT,
    LECUN,
    START,
    drawn_together,
    normal,
)

FLAX = {
    "normal": (normal(0.3), nnx.initializers.normal(0.3)),
    "start": (START, nnx.initializers.normal(0.02)),
    "he": (
        HE_FAN_OUT,
        nnx.initializers.variance_scaling(2.0, "fan_out", "truncated_normal"),
    ),
    "lecun": (LECUN, nnx.initializers.lecun_normal()),
}


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (5, 7)])
@pytest.mark.parametrize("ours, flax", FLAX.values(), ids=FLAX.keys())
def test_initializers_are_those_of_flax(ours, flax, shape):
    key = jax.random.key(1)
    values = nnx.Param(ours(key, shape))[...]
    np.testing.assert_allclose(values, flax(key, shape), rtol=1e-6)
    assert values.dtype == jnp.float32


class Parts(nnx.Module):
    """Parameters of each kind, and one that starts by itself."""

    def __init__(self, rngs):
        self.wide = nnx.Linear(64, 128, kernel_init=normal(0.5), rngs=rngs)
        self.he = nnx.Conv(32, 64, (3, 3), kernel_init=HE_FAN_OUT, rngs=rngs)
        self.heads = nnx.LinearGeneral(64, (4, 32), kernel_init=LECUN, rngs=rngs)
        self.alike = nnx.vmap(
            lambda key: nnx.Linear(64, 64, kernel_init=LECUN, rngs=nnx.Rngs(key))
        )(jax.random.split(rngs.params(), 2))
        self.own = nnx.Param(jnp.full((3,), 7.0))


@pytest.fixture(scope="module")
def parts():
    networks = Parts(nnx.Rngs(0)), drawn_together(Parts, nnx.Rngs(0))
    return [nnx.to_pure_dict(nnx.state(network)) for network in networks]


# Largest deviation of a truncated normal, in deviations of what is left of it.
CUT = 2 / 0.87962566103423978


@pytest.mark.parametrize(
    "name, deviation, largest",
    [
        ("wide", 0.5, None),
        ("he", (2 / (9 * 64)) ** 0.5, CUT),
        ("heads", (1 / 64) ** 0.5, CUT),
        ("alike", (1 / 64) ** 0.5, CUT),  # not by the shape of the stack
    ],
)
def test_a_joint_draw_keeps_each_distribution(parts, name, deviation, largest):
    before, after = (values[name]["kernel"] for values in parts)
    assert after.shape == before.shape and not np.array_equal(after, before)
    assert after.std() == pytest.approx(deviation, rel=0.04)
    assert abs(after.mean()) < 0.05 * deviation
    top = np.abs(after).max() / deviation
    assert top > 3 if largest is None else 0.95 * largest < top <= largest * 1.0001


def test_a_joint_draw_gives_each_parameter_numbers_of_its_own(parts):
    before, after = parts
    kernels = [after[name]["kernel"] for name in ("heads", "he")]
    kernels += list(after["alike"]["kernel"])
    starts = {tuple(np.ravel(k / k.std())[:3].round(3).tolist()) for k in kernels}
    assert len(starts) == len(kernels)
    np.testing.assert_array_equal(after["own"], before["own"])
    np.testing.assert_array_equal(after["wide"]["bias"], before["wide"]["bias"])


def draws_in(variant):
    """How often the program of `init` calls the generator of random bits."""
    network = gsanet.build(gsanet.VARIANTS[variant])
    return network._init.lower(jax.random.key(0)).as_text().count("call @threefry")


def test_a_deeper_network_needs_no_more_draws():
    assert 0 < draws_in("8px") == draws_in("50") <= 4
