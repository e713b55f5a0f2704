"""GPS-Net weights as files of ours, and all that they are not."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert import rewrite
from gpsattn_jax.models import gpsnet
from gpsattn_jax.models.gpsnet.config import FORMER_FIELDS

CONFIG = gpsnet.Config(
    num_classes=3,
    num_joints=4,
    in_channels=2,
    edges=((0, 1), (1, 2), (1, 3)),
    root=1,
    anchors=(2, 3),
    partition="voronoi",
    motions=(1, 2),
    distances=True,
    widths=(8, 16),
    strides=(2, 1),
    num_heads=2,
)


@pytest.fixture(scope="module")
def weights():
    return gpsnet.build(CONFIG).init(jax.random.key(0))


@pytest.fixture(scope="module")
def path(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    convert.save(path, *weights, CONFIG)
    return path


@pytest.mark.parametrize(
    "changes",
    [{}, {"fixed_codes": True}, {"spatial_attention": False}, {"partition": "none"}],
)
def test_a_file_gives_network_config_and_weights_back(tmp_path, changes):
    config = dataclasses.replace(CONFIG, **changes)
    weights = gpsnet.build(config).init(jax.random.key(1))
    convert.save(tmp_path / "net.safetensors", *weights, config)
    network, *loaded = convert.load("gpsnet", tmp_path / "net.safetensors")
    assert rewrite.config_of(network) == config
    hash(rewrite.config_of(network))  # so that it can be built
    jax.tree.map(np.testing.assert_array_equal, loaded, [*weights])


@pytest.mark.parametrize("name, value", FORMER_FIELDS.items())
def test_weights_saved_with_an_option_that_is_gone(
    weights, path, tmp_path, name, value
):
    """They load with the value that all networks have now; another is an error."""
    old = tmp_path / "old.safetensors"
    convert.save(old, *weights, dataclasses.asdict(CONFIG) | {name: value[0]})
    network, *loaded = convert.load("gpsnet", old)
    assert rewrite.config_of(network) == CONFIG
    jax.tree.map(np.testing.assert_array_equal, loaded, [*weights])
    convert.save(old, *weights, dataclasses.asdict(CONFIG) | {name: 3})
    with pytest.raises(ValueError, match=f"{name} is no option any more, .*; got 3"):
        convert.load("gpsnet", old)


def test_the_loaded_network_runs(path, weights):
    joints = jax.random.normal(jax.random.key(2), (2, 1, 6, 4, 2))
    network, *loaded = convert.load("gpsnet", path)
    found, _ = network.apply(*loaded, joints=joints)
    expected, _ = gpsnet.build(CONFIG).apply(*weights, joints=joints)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("arrays", "got"),
    [
        ({"blocks.0.weight": np.zeros(3)}, "got blocks.0.weight."),
        ({"params/head/bias": np.zeros(3), "fc.bias": np.zeros(3)}, "got fc.bias."),
        ({}, "got none."),
    ],
)
def test_foreign_names_are_refused(arrays, got):
    with pytest.raises(ValueError, match="are not public; .*" + re.escape(got)):
        convert.load("gpsnet", arrays)


def test_a_file_without_config_is_refused(tmp_path, weights):
    convert.save(tmp_path / "net.safetensors", *weights)
    with pytest.raises(ValueError, match="carry no config"):
        convert.load("gpsnet", tmp_path / "net.safetensors")


def test_weights_of_another_size_are_named(tmp_path, weights):
    other = dataclasses.replace(CONFIG, num_classes=5)
    convert.save(tmp_path / "net.safetensors", *weights, other)
    with pytest.raises(convert.ConversionError) as caught:
        convert.load("gpsnet", tmp_path / "net.safetensors")
    assert caught.value.complaints == [
        "misshapen: params/head/bias must be (5,); got (3,)",
        "misshapen: params/head/kernel must be (16, 5); got (16, 3)",
    ]


def test_rewriting_tells_the_skeleton_and_torch_s_names_there_are_none(
    path, tmp_path, capsys
):
    rewrite.rewrite("gpsnet", path, tmp_path / "again.safetensors")
    assert (
        "4 joints of 2 coordinates, stream joint; 3 classes" in capsys.readouterr().out
    )
    network, *_ = convert.load("gpsnet", tmp_path / "again.safetensors")
    assert rewrite.config_of(network) == CONFIG
    with pytest.raises(ValueError, match="which have names in PyTorch; got 'gpsnet'"):
        rewrite.rewrite("gpsnet", path, tmp_path / "net.pth", to="torch")
