"""Files that say whose weights they hold."""

import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert.recognition import CONFIGS, recognize
from gpsattn_jax.models import gsanet
from gpsattn_jax.systems import JOURNEYS

NAMES = {
    "gsanet": "layer1.0.conv1.weight",
    "pglsum": "attention.attention.Wk.0.weight",
    "transxnet": "patch_embed.proj.conv.weight",
}


def test_every_system_can_be_found():
    assert CONFIGS.keys() == JOURNEYS.keys()


@pytest.mark.parametrize("system", sorted(CONFIGS))
def test_our_own_files_are_known_by_their_config(tmp_path, system):
    path = tmp_path / "ours.safetensors"
    params = {"head": {"kernel": np.zeros((2, 2), np.float32)}}
    convert.save(path, params, {}, CONFIGS[system]())
    assert recognize(path) == system


def test_a_segmenter_is_known_by_its_head(tmp_path):
    path = tmp_path / "theirs.npz"
    names = "backbone.patch_embed.proj.conv.weight", "decode_head.conv_seg.weight"
    np.savez(path, **{name: np.zeros(2) for name in names})
    assert recognize(path) == "segmentation"


@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone.", "_orig_mod."])
@pytest.mark.parametrize("system", sorted(NAMES))
def test_others_are_known_by_their_names(tmp_path, system, prefix):
    path = tmp_path / "theirs.npz"
    np.savez(path, **{f"{prefix}{NAMES[system]}": np.zeros(2)})
    assert recognize(path) == system


def test_nobody_s_weights_are_refused(tmp_path):
    path = tmp_path / "theirs.npz"
    np.savez(path, **{"cls_token": np.zeros(2)})
    with pytest.raises(ValueError, match="theirs.npz: does not say whose .* gpsnet, g"):
        recognize(path)
    np.savez(path, **{name: np.zeros(2) for name in NAMES.values()})
    with pytest.raises(ValueError, match="does not say whose"):
        recognize(path)
    ours = tmp_path / "ours.safetensors"
    params = {"head": {"kernel": np.zeros((2, 2), np.float32)}}
    convert.save(ours, params, {})
    with pytest.raises(ValueError, match="ours.safetensors: does not say whose"):
        recognize(ours)
    with pytest.raises(FileNotFoundError, match="no such weights"):
        recognize(tmp_path / "nowhere.npz")


def test_a_config_of_several_systems_is_nobody_s(tmp_path):
    path = tmp_path / "ours.safetensors"
    params = {"head": {"kernel": np.zeros((2, 2), np.float32)}}
    convert.save(path, params, {}, {"num_classes": gsanet.Config().num_classes})
    with pytest.raises(ValueError, match="does not say whose"):
        recognize(path)
