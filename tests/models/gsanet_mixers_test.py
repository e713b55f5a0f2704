"""What mixes pixels in a GSA-ResNet: by name, by a user's own row, and of old files."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from gpsattn_jax import convert
from gpsattn_jax.configs import from_dict, upgraded
from gpsattn_jax.models import gsanet
from gpsattn_jax.modules.attention import MultiHeadAttention
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention
from gpsattn_jax.stacks import unstack
from gpsattn_jax.systems.gsanet import Config
from tests.models import made_up_attention

TWO = dataclasses.replace(
    gsanet.VARIANTS["8px"], layers=(1, 1), widths=(4, 8), num_heads=2, num_classes=3
)


def images(count=4):
    return jnp.asarray(
        np.random.default_rng(0).standard_normal((count, 8, 8, 1), np.float32)
    )


def losses_of_two_steps(network):
    """Cross-entropy before, between and after two steps of gradient descent."""
    labels = jnp.arange(4) % 3
    optimizer = optax.sgd(0.5)

    @jax.jit
    def step(params, state, moments):
        def objective(params):
            logits, new = network.apply(params, state, images(), train=True)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), new

        (loss, state), grads = jax.value_and_grad(objective, has_aux=True)(params)
        updates, moments = optimizer.update(grads, moments)
        return optax.apply_updates(params, updates), state, moments, loss

    params, state = network.init(jax.random.key(0))
    moments, losses = optimizer.init(params), []
    for _ in range(3):
        params, state, moments, loss = step(params, state, moments)
        losses.append(float(loss))
    return losses


@pytest.mark.parametrize("name", gsanet.MIXERS)
def test_every_mixer_trains(name):
    network = gsanet.build(dataclasses.replace(TWO, mixers=("conv", name)))
    losses = losses_of_two_steps(network)
    assert losses[2] < losses[0]


def test_a_new_mechanism_is_one_file_and_one_row():
    mixers = gsanet.MIXERS | {
        "nearness": functools.partial(
            MultiHeadAttention, kernel=made_up_attention.nearness_attention
        )
    }
    config = dataclasses.replace(TWO, mixers=("conv", "nearness"))
    network = gsanet.build(config, mixers=mixers)
    losses = losses_of_two_steps(network)
    assert losses[2] < losses[1] < losses[0]
    assert network is gsanet.build(config, mixers=dict(mixers))  # compiled once


def test_a_module_of_ones_own_gets_what_its_signature_names():
    class Mine(nnx.Module):
        def __init__(self, channels, *, side, rngs):
            self.table = nnx.Param(jnp.ones((side, side, channels)))

        def __call__(self, x, *, train=False, rngs=None):
            return x * self.table[None]

    config = dataclasses.replace(TWO, mixers=("mine", "mine"))
    network = gsanet.build(config, mixers=gsanet.MIXERS | {"mine": Mine})
    params, _ = network.shapes()
    tables = [
        block["mix"]["table"].shape for block in unstack(params)["blocks"].values()
    ]
    assert tables == [(8, 8, 4), (8, 8, 8)]  # the stride follows the mixer
    losses = losses_of_two_steps(network)
    assert losses[2] < losses[0]


def test_an_option_that_a_row_binds_stays():
    local = functools.partial(GlobalSelfAttention, window=2)
    config = dataclasses.replace(TWO, mixers=("gsa", "local"))
    network = gsanet.build(config, mixers=gsanet.MIXERS | {"local": local})
    params, _ = network.shapes()
    blocks = unstack(params)["blocks"].values()
    tables = [block["mix"]["row_table"] for block in blocks]
    rows = [table.shape[0] for table in tables]
    assert rows == [15, 3]


def test_an_unknown_mixer_lists_the_choices():
    config = dataclasses.replace(TWO, mixers=("conv", "mine"))
    message = f"mixers must be among {', '.join(gsanet.MIXERS)}; got 'mine'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gsanet.build(config)


# What was saved before mixers had names.


def test_older_fields_are_read_as_todays():
    today = Config(model=dataclasses.replace(TWO, mixers=("conv", "gsa")))
    older = dataclasses.asdict(today)
    older["model"]["attention"] = [False, True]
    del older["model"]["mixers"]
    assert from_dict(Config, older) == today
    assert upgraded(Config, older)["model"]["mixers"] == ["conv", "gsa"]
    assert upgraded(Config, {"model": {"unknown": 1}}) == {"model": {"unknown": 1}}
    for value in (3, "gsa", None):  # no list of switches: a field that does not exist
        with pytest.raises(ValueError, match=r"has no field model\.attention\.$"):
            from_dict(Config, {"model": {"attention": value}})


def test_older_weights_load(tmp_path):
    config = dataclasses.replace(TWO, mixers=("conv", "gsa"))
    network = gsanet.build(config)
    params, state = network.init(jax.random.key(0))
    fields = dataclasses.asdict(config) | {"attention": (False, True)}
    del fields["mixers"]
    path = tmp_path / "old.safetensors"
    convert.save(path, params, state, fields)
    loaded, *arrays = convert.load("gsanet", path)
    assert loaded is network
    jax.tree.map(np.testing.assert_array_equal, arrays, [params, state])
