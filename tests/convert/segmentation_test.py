"""Semantic FPN: mmsegmentation's names and numbers, backbones alone, what is off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert import ConversionError
from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.saved import check_bounds
from gpsattn_jax.convert.semantic_fpn import head_rules
from gpsattn_jax.convert.transxnet import to_torch
from gpsattn_jax.models import gsanet, semantic_fpn, transxnet
from tests.convert.resnet_test import make_resnet
from tests.golden_transxnet import quick_jit
from tests.made_resnet import resnet_arrays
from tests.made_semantic_fpn import make_segmenter

MAPS = transxnet.Config(
    depths=(1, 1), widths=(8, 16), num_heads=(1, 2), num_groups=(2, 2),
    kernel_sizes=(3, 3), reductions=(2, 1), mlp_ratios=(2, 2), remat=(False, False),
    image_size=32, drop_path=0.1, features_only=True,
)  # fmt: skip
CONFIG = semantic_fpn.Config(
    transxnet=MAPS, channels=12, head_channels=10, num_classes=5
)


@pytest.fixture(scope="module")
def weights():
    """Params and state of a small TransXNet under a Semantic FPN."""
    params, state = semantic_fpn.build(CONFIG).init(jax.random.key(0))
    noise = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: leaf + noise.uniform(0.1, 0.2, leaf.shape).astype(np.float32),
        (params, state),
    )


@pytest.fixture(scope="module")
def arrays(weights):
    """The same as mmsegmentation keeps them, a head for training beside."""
    params, state = weights
    below = to_torch(MAPS, params["backbone"], state["backbone"])
    found = {f"backbone.{name}": array for name, array in below.items()}
    ours = flatten({"params": params, "state": state})
    for rule in head_rules(2):
        array = (
            np.zeros((), np.int64) if rule.path is None else np.asarray(ours[rule.path])
        )
        found[rule.name] = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
    return found | {
        "auxiliary_head.conv_seg.weight": np.zeros((5, 8, 1, 1), np.float32)
    }


def same(found, wanted):
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("size", [(64, 64), (70, 50)])
def test_outputs_are_mmsegmentation_s(torch, tmp_path, size):
    """Over a ResNet in PyTorch; at 70 x 50 pixels no map is half of another."""
    torch.manual_seed(0)
    resnet = make_resnet(torch, (1, 1, 1, 1), (4, 6, 8, 8), 5)
    del resnet.fc

    def maps(x):
        x, found = torch.relu(resnet.bn1(resnet.conv1(x))), []
        x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
        for group in range(4):
            x = getattr(resnet, f"layer{group + 1}")(x)
            found.append(x)
        return found

    resnet.maps = maps
    theirs = make_segmenter(torch, resnet, (16, 24, 32, 32), 12, 10, 5).eval()
    with torch.no_grad():
        for name, array in theirs.state_dict().items():
            norm = ".bn" in name or "downsample.1" in name
            if norm and array.is_floating_point():
                array.uniform_(0.5, 1.5)
    torch.save({"meta": {}, "state_dict": theirs.state_dict()}, tmp_path / "iter.pth")
    network, params, state = convert.load("segmentation", tmp_path / "iter.pth")
    images = np.random.default_rng(0).normal(size=(1, *size, 3)).astype(np.float32)
    logits, _ = quick_jit(network.apply)(params, state, images)
    with torch.no_grad():
        wanted = theirs(torch.tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert logits.shape == wanted.shape == (1, *size, 5)
    error = np.abs(logits - wanted.numpy()).max() / np.abs(wanted.numpy()).max()
    assert error < 2e-5


def test_a_whole_file_of_mmsegmentation_is_read(arrays, weights, capsys):
    network, *found = convert.load("segmentation", arrays)
    config = network.config
    assert (config.channels, config.head_channels, config.num_classes) == (12, 10, 5)
    assert config.transxnet.widths == (8, 16) and config.transxnet.features_only
    same(found, list(weights))
    assert "Left out: auxiliary_head.*" in capsys.readouterr().out
    wrapped = {f"module.{name}": array for name, array in arrays.items()}
    same(convert.load("segmentation", wrapped)[1:], tuple(weights))


def test_our_own_file_is_read_and_may_get_another_classifier(weights, tmp_path):
    convert.save(tmp_path / "ours.safetensors", *weights, CONFIG)
    network, *found = convert.load("segmentation", tmp_path / "ours.safetensors")
    assert network.config == CONFIG
    same(found, list(weights))
    _, params, _ = convert.load(
        "segmentation", tmp_path / "ours.safetensors", num_classes=7
    )
    assert params["head"]["bias"].shape == (7,)
    same(params["neck"], weights[0]["neck"])


def backbone_of(arrays):
    return {
        name: array for name, array in arrays.items() if name.startswith("backbone.")
    }


def detector(arrays):
    """As mmdetection keeps one: a neck of the same names, heads of its own."""
    others = "neck.lateral_convs.0.conv.weight", "rpn_head.rpn_conv.weight"
    return backbone_of(arrays) | {n: np.zeros((3, 8, 1, 1), np.float32) for n in others}


def plain(arrays):
    return {
        name.removeprefix("backbone."): array
        for name, array in backbone_of(arrays).items()
    }


@pytest.mark.parametrize("source", [backbone_of, detector, plain])
def test_a_backbone_comes_under_a_fresh_head(arrays, weights, source):
    network, params, state = convert.load(
        "segmentation", source(arrays), headless=True, num_classes=3, channels=12,
        head_channels=10,
    )  # fmt: skip
    assert params["head"]["bias"].shape == (3,)
    same(params["backbone"], weights[0]["backbone"])
    same(state["backbone"], weights[1]["backbone"])
    shapes = network.shapes()
    assert jax.tree.map(jnp.shape, (params, state)) == jax.tree.map(jnp.shape, shapes)
    with pytest.raises(ConversionError, match="headless=True takes the backbone alone"):
        convert.load("segmentation", source(arrays))


def test_a_detector_s_backbone_gives_its_maps(arrays, weights, capsys):
    """The other loaders take such files, too, and say what they leave out."""
    network, params, _ = convert.load("transxnet", detector(arrays))
    assert network.config.features_only
    same(params, weights[0]["backbone"])
    assert "Left out: neck.*, rpn_head.*." in capsys.readouterr().out
    resnet = {f"backbone.{n}": a for n, a in resnet_arrays().items() if "fc." not in n}
    network, _, _ = convert.load("gsanet", resnet, features_only=True)
    assert network.config.widths == (4, 6)


def test_a_resnet_of_mmdetection_comes_under_a_fresh_head():
    resnet = {f"backbone.{n}": a for n, a in resnet_arrays().items() if "fc." not in n}
    network, params, _ = convert.load("segmentation", resnet, headless=True)
    config = network.config
    assert config.backbone == "gsanet" and config.gsanet.mixers == ("conv", "conv")
    assert params["neck"]["laterals"][1]["kernel"].shape == (1, 1, 24, 256)
    assert isinstance(config.maps, gsanet.Config) and config.num_classes == 150


def test_what_does_not_fit_is_listed(arrays):
    wrong = dict(arrays)
    del wrong["neck.fpn_convs.1.conv.bias"]
    wrong["decode_head.scale_heads.1.0.conv.weight"] = np.zeros((10, 11, 3, 3))
    wrong["decode_head.scale_heads.1.2.conv.weight"] = np.zeros((10, 10, 3, 3))
    with pytest.raises(ConversionError) as error:
        convert.load("segmentation", wrong)
    for line in (
        "missing: neck.fpn_convs.1.conv.bias -> params/neck/outputs/1/bias (12,)",
        "misshapen: decode_head.scale_heads.1.0.conv.weight -> params/scales/1/0/conv",
        "unmatched: decode_head.scale_heads.1.2.conv.weight (10, 10, 3, 3)",
    ):
        assert line in str(error.value)
    deep = {"backbone.stem.0.weight": np.zeros((4, 3, 3, 3))}
    with pytest.raises(ConversionError, match="a deep stem .ResNetV1c."):
        convert.load("segmentation", deep, headless=True)
    with pytest.raises(
        ConversionError, match="patch_embed.* of a TransXNet, or layer1"
    ):
        convert.load("segmentation", {"backbone.cls_token": np.zeros(3)})


def test_a_network_inside_of_another_is_bounded_too():
    """A file's config cannot ask for a million blocks of a backbone."""
    fields = {"backbone": "gsanet", "gsanet": {"layers": [600, 600]}}
    with pytest.raises(ValueError, match="config.gsanet.layers must be at most 1000"):
        check_bounds(fields, "config")
