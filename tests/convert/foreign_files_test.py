"""Weights as others keep them: prefixes, heads, extras, channels; and what is none."""

import argparse
import collections
import dataclasses
import datetime
import json
import pathlib
import pickle
import struct
import types

import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert import rewrite
from gpsattn_jax.convert.contents import read_contents
from gpsattn_jax.convert.files import read
from gpsattn_jax.convert.graft import fitting_flags
from gpsattn_jax.convert.heads import other_channels
from gpsattn_jax.convert.prefixes import without_prefix
from gpsattn_jax.convert.torch_pickle import read_torch_pickle
from gpsattn_jax.models import gpsnet, gsanet
from tests.made_resnet import resnet_arrays


def load(arrays, **options):
    network, params, state = convert.load("gsanet", arrays, **options)
    return rewrite.config_of(network), params, state


def prefixed(arrays, prefix):
    return {f"{prefix}{name}": array for name, array in arrays.items()}


# What stands before the names.

NAMES = {
    "gsanet": ("conv1.weight", "layer1.0.conv1.weight", "layer2.0.conv1.weight"),
    "transxnet": ("patch_embed.proj.conv.weight", "network.0.0.pos_embed.weight"),
    "gsa_module": ("to_qkv.weight", "norm.weight"),
    "efficientnet_lite0": ("_conv_stem.weight", "_blocks.0._bn1.weight"),
    "pglsum": (
        "attention.attention.Wq.0.weight",
        "attention.local_attention.0.Wq.0.weight",
        "linear_1.weight",
    ),
}
PARTS_OF_PGLSUM = [
    ("attention.Wq.0.weight", "local_attention.0.Wq.0.weight"),
    ("Wq.0.weight", "out.weight"),
]
PREFIXES = [
    "", "module.", "_orig_mod.", "module._orig_mod.", "model.", "backbone.", "net.",
    "student.encoder.", "_orig_mod.module.",
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("system", NAMES)
def test_any_prefix_goes(system, prefix):
    arrays = {name: np.zeros(1) for name in NAMES[system]}
    found, _ = without_prefix(prefixed(arrays, prefix), system)
    assert list(found) == list(arrays)


@pytest.mark.parametrize("names", PARTS_OF_PGLSUM)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_parts_of_pglsum_keep_their_own_names(names, prefix):
    arrays = {name: np.zeros(1) for name in names}
    assert list(without_prefix(prefixed(arrays, prefix), "pglsum")[0]) == list(arrays)


def test_a_part_of_a_larger_network_is_found_among_others():
    arrays = prefixed({name: np.zeros(1) for name in NAMES["gsanet"]}, "backbone.")
    found, prefix = without_prefix(arrays | {"fc.weight": np.zeros(2)}, "gsanet")
    assert prefix == "backbone." and list(found) == [*NAMES["gsanet"], "fc.weight"]
    compiled = {"layer1._orig_mod.0.conv1.weight": np.zeros(1)}
    assert list(without_prefix(compiled, "gsanet")[0]) == ["layer1.0.conv1.weight"]


def test_two_networks_in_a_file_are_refused():
    arrays = {name: np.zeros(1) for name in NAMES["gsanet"]}
    both = prefixed(arrays, "student.") | prefixed(arrays, "teacher.")
    with pytest.raises(convert.ConversionError, match=r"student\.\*\n.*teacher\.\*"):
        without_prefix(both, "gsanet")


# Heads, extras, channels.


def test_extras_are_listed_and_skipped(capsys):
    extras = {"aux_head.weight": np.ones(3), "aux_head.0.bias": np.ones(2)}
    with pytest.raises(convert.ConversionError, match="unmatched: aux_head.weight"):
        load(resnet_arrays() | extras)
    _, params, _ = load(resnet_arrays() | extras, strict=False)
    assert "skipped aux_head.weight, aux_head.0.bias" in capsys.readouterr().out
    np.testing.assert_array_equal(params["head"]["bias"], resnet_arrays()["fc.bias"])


def test_strict_or_not_the_missing_are_missing_with_the_likeliest_beside_them():
    arrays = resnet_arrays()
    arrays["layer1.0.bnorm2.weight"] = arrays.pop("layer1.0.bn2.weight")
    for strict in (True, False):
        with pytest.raises(convert.ConversionError) as error:
            load(arrays, strict=strict)
        assert "missing: layer1.0.bn2.weight" in str(error.value)
    with pytest.raises(convert.ConversionError, match=r"file has layer1\.0\.bnorm2"):
        load(arrays)


def test_names_of_another_network_are_named(tmp_path):
    np.savez(
        tmp_path / "a.npz", **{f"blocks.{i}.qkv.weight": np.ones(1) for i in range(9)}
    )
    with pytest.raises(convert.ConversionError) as error:
        convert.load("transxnet", tmp_path / "a.npz")
    first = str(error.value).splitlines()[0]
    assert first.startswith(f"{tmp_path / 'a.npz'}: the weights, blocks.0.qkv.weight, ")
    assert first.endswith("… (9 names), do not fit the network:")


def without_head():
    return {n: a for n, a in resnet_arrays().items() if not n.startswith("fc.")}


def test_resnets_without_a_head():
    with pytest.raises(convert.ConversionError, match="fc.weight of a ResNet"):
        load(without_head())
    config, params, _ = load(without_head(), headless=True)
    assert config.num_classes == 0 and "head" not in params
    config, params, _ = load(without_head(), num_classes=7)
    assert config.num_classes == 7 and params["head"]["bias"].shape == (7,)
    config, params, _ = load(without_head(), features_only=True)
    assert config.features_only and "head" not in params


def test_features_of_resnets():
    """`num_classes=0` is what the head would see; the last map's mean is that, too."""
    images = np.random.default_rng(0).normal(size=(2, 32, 40, 3)).astype(np.float32)
    network, *weights = convert.load("gsanet", resnet_arrays())
    logits, _ = network.apply(*weights, images)
    head = weights[0]["head"]
    pooled_network, *pooled = convert.load("gsanet", resnet_arrays(), num_classes=0)
    features, _ = pooled_network.apply(*pooled, images)
    assert features.shape == (2, 24)
    expected = features @ head["kernel"] + head["bias"][None]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    maps_network, *weights = convert.load("gsanet", resnet_arrays(), features_only=True)
    maps, _ = maps_network.apply(*weights, images)
    assert [m.shape for m in maps] == [(2, 8, 10, 16), (2, 4, 5, 24)]
    np.testing.assert_allclose(maps[-1].mean((1, 2)), features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_a_stem_for_other_channels(channels, capsys):
    config, params, _ = load(resnet_arrays(), in_channels=channels)
    assert config.in_channels == channels
    colours = resnet_arrays()["conv1.weight"]  # [C', 3, K, K]
    if channels == 1:  # timm's rule
        expected = colours.sum(1, keepdims=True)
    else:
        expected = np.concatenate([colours] * 2, 1)[:, :channels] * (3 / channels)
    kernel = np.transpose(params["stem"]["kernel"], (3, 2, 0, 1))
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)
    assert f"for {channels} channels of images is" in capsys.readouterr().out


def test_only_colours_become_other_channels():
    with pytest.raises(ValueError, match="weights for 3 channels.* got 4 channels"):
        other_channels(np.zeros((3, 3, 4, 8)), 1)


@pytest.mark.parametrize("num_classes", [3, 5])
def test_grafts_onto_a_network_start_a_missing_head(num_classes):
    import jax

    config, params, state = load(without_head(), headless=True)
    wanted = dataclasses.replace(config, num_classes=num_classes, in_channels=1)
    network = gsanet.build(wanted)
    new, _, lines = convert.graft(network, jax.random.key(0), params, state)
    assert new["head"]["bias"].shape == (num_classes,)
    assert sum("is not there and starts afresh" in line for line in lines) == 2
    assert any("stem/kernel" in line and "sum over" in line for line in lines)


def test_a_misfit_names_the_flags_that_would_fit():
    import jax

    found, params, state = load(resnet_arrays())
    wanted = dataclasses.replace(found, widths=(4, 8), num_classes=3)
    with pytest.raises(convert.ConversionError) as error:
        convert.graft(
            gsanet.build(wanted), jax.random.key(0), params, state,
            configs=(found, wanted),
        )  # fmt: skip
    assert error.value.complaints[-1] == "these flags would fit: --model.widths=4,6"
    assert fitting_flags(found, found) == "" and fitting_flags(found, None) == ""


def test_norm_queries_must_agree_with_the_softmax():
    arrays = {"to_qkv.weight": np.ones((12, 3, 1, 1), np.float32)}
    arrays |= {
        "to_out.weight": np.ones((5, 4, 1, 1), np.float32),
        "to_out.bias": np.ones(5),
    }
    options = {"num_heads": 2, "norm_queries": True}
    message = "query_softmax must be True .* which a file cannot say; got None"
    with pytest.raises(ValueError, match=message):
        convert.load("gsa_module", arrays, **options)
    convert.load("gsa_module", arrays, **options, query_softmax=True)
    convert.load("gsa_module", arrays, num_heads=2, norm_queries=False)


# What stands beside the weights in PyTorch's files.


@dataclasses.dataclass
class ConfigOfATest:
    rate: float = 0.1


HARMLESS = {
    "scalar": np.float64(0.5),
    "array": np.arange(3),
    "texts": np.array(["a"]),
    "default": collections.defaultdict(list, {"a": [1]}),
    "count": collections.Counter("aab"),
    "queue": collections.deque([1, 2], maxlen=3),
    "path": pathlib.Path("a") / "b",
    "time": datetime.datetime(2024, 1, 2),
    "zone": datetime.UTC,
    "space": types.SimpleNamespace(a=1),
    "arguments": argparse.Namespace(a=1),
    "config": ConfigOfATest(),
    "class": ConfigOfATest,
    "set": {1, 2},
    "complex type": complex,
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("name", [*HARMLESS, "dtype", "device", "size", "all"])
def test_harmless_extras_are_left_out(torch, tmp_path, name, form, protocol):
    extras = HARMLESS | {
        "dtype": torch.float16, "device": torch.device("cpu"), "size": torch.Size([2])
    }  # fmt: skip
    beside = extras if name == "all" else {name: extras[name]}
    weights = {"weight": torch.arange(6.0)}
    path, options = tmp_path / "a.ckpt", {"pickle_protocol": protocol}
    options["_use_new_zipfile_serialization"] = form
    torch.save({"state_dict": weights} | beside, path, **options)
    found, _ = read(path)
    np.testing.assert_array_equal(found.pop("weight"), np.arange(6.0))
    assert not found
    torch.save(weights | beside, path, **options)
    found, _ = read(path)
    np.testing.assert_array_equal(found["weight"], np.arange(6.0))


@pytest.mark.parametrize(
    "function", [print, pathlib.Path.unlink, datetime.datetime.now, np.load, json.loads]
)
def test_functions_are_refused_with_the_way_out(torch, tmp_path, function):
    torch.save({"state_dict": {}, "extra": function}, tmp_path / "a.pth")
    message = r"which might run code\. Where .* save .* torch\.save\(model\.state_dict"
    with pytest.raises(ValueError, match=message):
        read_torch_pickle(tmp_path / "a.pth")


def test_a_whole_model_is_no_state_dict(torch, tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
    message = r"an object of torch\.nn\.modules\.linear\.Linear.*model\.state_dict"
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a.pth")
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "b.pt")
    with pytest.raises(ValueError, match="a program of TorchScript|compressed"):
        read(tmp_path / "b.pt")


def test_a_file_of_other_things_alone(torch, tmp_path):
    torch.save({"epoch": 3, "name": "a"}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"got no tensors but epoch, name\."):
        read(tmp_path / "a.pth")


# Files by their content.


@pytest.mark.parametrize(
    "suffix", [".bin", ".ckpt", ".pth", ".safetensors", ".npz", ""]
)
@pytest.mark.parametrize("kind", ["torch", "row", "npz", "safetensors"])
def test_files_are_known_by_content(torch, tmp_path, kind, suffix):
    from safetensors.numpy import save_file

    path, array = tmp_path / f"a{suffix}", np.arange(3, dtype=np.float32)
    if kind == "npz":
        with open(path, "wb") as file:
            np.savez(file, w=array)
    elif kind == "safetensors":
        save_file({"w": array}, path)
    else:
        new = kind == "torch"
        content = {"w": torch.tensor(array)}
        torch.save(content, path, _use_new_zipfile_serialization=new)
    found, _ = read(path)
    np.testing.assert_array_equal(found["w"], array)


@pytest.mark.parametrize(
    "content, message",
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "Git-LFS pointer",
        ),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "HTML page"),
        (b"<html><head></head></html>", "HTML page"),
        (b"<?xml version='1.0'?><Error/>", "XML document"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 file"),
        (b"\x1f\x8b" + bytes(50), "gzip archive"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors", ".npz"])
def test_what_is_no_file_of_weights_is_named(tmp_path, content, message, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=f"a{suffix}: must be a file of weights; it is an? {message}"
    ):
        convert.load("transxnet", path)


# Our own files and containers that are damaged or hostile.


def safetensors_file(path, metadata, **entries):
    header = {"__metadata__": metadata} if metadata else {}
    start = 0
    for name, (kind, shape, size) in entries.items():
        header[name] = {
            "dtype": kind,
            "shape": shape,
            "data_offsets": [start, start + size],
        }
        start += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(start))
    return path


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "F8_E8M0"])
def test_numbers_of_eight_bits_are_named(tmp_path, kind):
    path = safetensors_file(tmp_path / "a.safetensors", None, w=(kind, [2], 2))
    with pytest.raises(
        ValueError, match=rf"a\.safetensors: .* w must be .* got {kind}; convert it"
    ):
        read_contents(path)


def test_numbers_of_four_bits_are_named(tmp_path):
    path = safetensors_file(tmp_path / "a.safetensors", None, w=("F4", [4], 2))
    with pytest.raises(ValueError, match=r"a\.safetensors: .* w must be .* got F4"):
        read_contents(path)


@pytest.mark.parametrize("form", [True, False], ids=["zip", "row"])
@pytest.mark.parametrize(
    "kind", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn_x2"]
)
def test_types_of_pytorch_without_a_like_are_named(torch, tmp_path, form, kind):
    if not hasattr(torch, kind):
        pytest.skip(f"this torch has no {kind}")
    path = tmp_path / "a.pth"
    tensor = torch.zeros(4, dtype=torch.uint8).view(getattr(torch, kind))
    torch.save({"w": tensor}, path, _use_new_zipfile_serialization=form)
    with pytest.raises(ValueError, match=rf"a\.pth: .*tensors are of torch\.{kind}; c"):
        read(path)


@pytest.mark.parametrize("form", [True, False], ids=["zip", "row"])
def test_integers_of_pytorch_without_a_storage_type(torch, tmp_path, form):
    path, numbers = tmp_path / "a.pth", np.arange(6, dtype=np.uint16).reshape(2, 3)
    tensors = {"w": torch.tensor(numbers), "part": torch.tensor(numbers)[1, 1:]}
    torch.save(tensors, path, _use_new_zipfile_serialization=form)
    found, _ = read(path)
    np.testing.assert_array_equal(found["w"], numbers)
    np.testing.assert_array_equal(found["part"], numbers[1, 1:])


GPSNET = dataclasses.asdict(gpsnet.VARIANTS["tiny"])
ROW = {"params/x": ("F32", [1], 4)}


@pytest.mark.parametrize("system, config, message", [
    ("pglsum", "5", "its config must be a dict; got int"),
    ("pglsum", "{", "its config is no JSON"),
    ("gpsnet", "[" * 100_000, "its config is no JSON"),
    ("gpsnet", {"widths": [8] * 20_000}, "config.widths must have at most 1000"),
    ("gpsnet", GPSNET | {"num_joints": 10**9}, "num_joints must be at most 10,000,000"),
    ("gpsnet", GPSNET | {"widths": 3}, "its config makes no network"),
    ("gpsnet", GPSNET | {"widths": ["a"]}, "its config makes no network"),
    ("gsanet", {"layers": [20_000]}, "layers must be at most 1000 blocks"),
    ("gsanet", {"num_heads": 0}, "its config makes no network"),
    ("gsanet", {"nonsense": 0}, "has no field nonsense"),
    ("transxnet", {"depths": [1e400, 1]}, "config.depths must be at most"),
    ("transxnet", {"widths": None}, "its config makes no network"),
    ("efficientnet_lite0", {"num_classes": "a"}, "a.safetensors: "),
])  # fmt: skip
def test_configs_that_make_no_network(tmp_path, system, config, message):
    text = config if isinstance(config, str) else json.dumps(config)
    path = safetensors_file(tmp_path / "a.safetensors", {"config": text}, **ROW)
    with pytest.raises(ValueError, match=message) as raised:
        convert.load(system, path)
    assert str(path) in str(raised.value) and len(str(raised.value)) < 3000


def test_npz_files_that_promise_too_much(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, w=np.zeros(70 * 2**20, np.uint8))
    with pytest.raises(ValueError, match=r"a\.npz: .*array w: .* bytes that unpack to"):
        read(path)


def kinds(tmp_path):
    from safetensors.numpy import save_file

    arrays = {"a.weight": np.ones((3, 4), np.float32), "b": np.arange(5)}
    np.savez(tmp_path / "a.npz", **arrays)
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    save_file(arrays, tmp_path / "c.safetensors", {"config": '{"a": [1, 2]}'})
    return [(path.name, path.read_bytes()) for path in sorted(tmp_path.iterdir())]


@pytest.mark.slow
def test_damage_gives_arrays_or_one_clear_error(tmp_path, seeds):
    wholes, read_well = kinds(tmp_path), 0
    for seed in seeds:
        draw = np.random.default_rng(seed)
        name, whole = wholes[seed % len(wholes)]
        content, path = bytearray(whole), tmp_path / name
        for place in draw.integers(0, len(content), draw.integers(1, 5)):
            content[place] = draw.integers(256)
        path.write_bytes(
            content[: draw.integers(len(content))] if seed % 5 == 0 else content
        )
        try:
            convert.load("pglsum", path)
        except ValueError as error:
            assert str(path) in str(error)
            read_well += isinstance(error, convert.ConversionError)
    assert 0 < read_well < len(seeds)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_arrays_are_read(tmp_path, protocol):
    """Detectron2's model zoo has them, with the weights under `model`."""
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.asarray(7)}
    path = tmp_path / "a.pkl"
    for content in (arrays, {"model": arrays, "__author__": "somebody"}):
        path.write_bytes(pickle.dumps(content, protocol))
        found, _ = read(path)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


class Printing:
    def __reduce__(self):
        return (print, ("run",))


def test_plain_pickles_run_nothing(tmp_path, capsys):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"w": np.ones(3), "x": Printing()}, 2))
    with pytest.raises(ValueError, match="a.pkl: .*print, which might run code"):
        read(path)
    path.write_bytes(pickle.dumps({"w": np.ones(3)}, 2) + b"more")
    with pytest.raises(ValueError, match="its magic number is not PyTorch's"):
        read(path)
    assert capsys.readouterr().out == ""
