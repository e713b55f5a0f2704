"""TransXNet's official names: what is inferred, what is off, and back again."""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert import rewrite
from gpsattn_jax.convert.files import read
from gpsattn_jax.convert.transxnet import infer_config, to_torch
from gpsattn_jax.models import gsanet, transxnet
from gpsattn_jax.stacks import unstack
from tests import golden_transxnet
from tests.scripts import run_script

ROOT = pathlib.Path(__file__).parents[2]

# What leaves no trace in names and shapes has its default, so that loading finds this.
SMALL = transxnet.Config(
    depths=(1, 2),
    widths=(8, 12),
    num_heads=(1, 3),
    num_groups=(3, 2),
    kernel_sizes=(3, 5),
    reductions=(2, 1),
    mlp_ratios=(2, 3),
    remat=(False, False),
    image_size=16,
    num_classes=5,
)


def official(config=SMALL):
    """An official state dict, made up."""
    return golden_transxnet.made_weights(golden_transxnet.names_and_shapes(config))


def load(source, **options):
    network, params, state = convert.load("transxnet", source, **options)
    return rewrite.config_of(network), params, state


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


def write_torch(torch, path, content):
    def tensors(tree):
        if isinstance(tree, dict):
            return {name: tensors(branch) for name, branch in tree.items()}
        return torch.tensor(tree) if isinstance(tree, np.ndarray) else tree

    torch.save(tensors(content), path)
    return path


# What names and shapes tell.

CONFIGS = {
    "small": SMALL,
    "one stage": dataclasses.replace(
        SMALL,
        **{name: getattr(SMALL, name)[:1] for name in ("depths", *transxnet.PER_STAGE)},
    ),
    "batch norm": dataclasses.replace(SMALL, norm="batch"),
    "no layer scale": dataclasses.replace(SMALL, layer_scale=None),
    "features": dataclasses.replace(SMALL, features_only=True, num_classes=1000),
    "grey": dataclasses.replace(SMALL, in_channels=1),
    "reduced everywhere": dataclasses.replace(SMALL, reductions=(8, 2)),
    "reduced nowhere": dataclasses.replace(SMALL, reductions=(1, 1)),
    "odd grid": dataclasses.replace(SMALL, image_size=28),
    "equal widths": dataclasses.replace(SMALL, widths=(12, 12)),
}


def views(shapes):
    nothing = np.zeros((), np.float32)
    return {name: np.broadcast_to(nothing, shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_that_leaves_a_trace_is_found(name):
    shapes = golden_transxnet.names_and_shapes(CONFIGS[name])
    assert infer_config(views(shapes)) == CONFIGS[name]


@pytest.mark.parametrize("name", transxnet.VARIANTS)
def test_published_variants_are_found(golden, name):
    """With their drop path, which is known from the sizes alone."""
    shapes = golden_transxnet.manifest(golden, name[0])
    assert infer_config(views(shapes)) == transxnet.VARIANTS[name]


@pytest.mark.parametrize("ratio", [2.5, 8 / 3, 0.4])
def test_ratios_that_are_no_whole_numbers(ratio):
    config = dataclasses.replace(SMALL, mlp_ratios=(2, ratio))
    shapes = golden_transxnet.names_and_shapes(config)
    found = infer_config(views(shapes))
    assert golden_transxnet.names_and_shapes(found) == shapes


def test_a_ratio_with_fewer_channels_than_branches():
    """Four branches share them, there as here."""
    with pytest.raises(ValueError, match=r"hidden must be at least 4; got 3\."):
        transxnet.build(dataclasses.replace(SMALL, mlp_ratios=(2, 0.3))).shapes()


def test_an_image_size_that_four_does_not_divide():
    """Its tables are those of the next multiple."""
    config = dataclasses.replace(SMALL, image_size=27)
    assert load(official(config))[0].image_size == 28


def test_where_each_kind_of_array_goes():
    arrays = official()
    _, params, state = load(arrays)
    assert_same(
        params["stages"][0]["position"], jnp.asarray(arrays["relative_pos_enc.0"][0])
    )
    params, state = unstack(params), unstack(state)
    names, block = "network.2.1.", params["stages"][1]["blocks"][1]
    there = arrays[f"{names}token_mixer.local_unit.weight"]  # [G, C, K, K]
    assert block["mixer"]["local"]["kernels"][3, 1, 0, 5] == there[0, 5, 3, 1]
    there = arrays[f"{names}pos_embed.weight"]  # [C, 1, K, K]
    assert block["place"]["kernel"][6, 2, 9] == there[9, 0, 6, 2]
    there = arrays[f"{names}mlp.fc1.0.weight"]  # [C', C, 1, 1]
    branches = [block["feedforward"]["branches"][number] for number in range(4)]
    # Four branches of nine channels.
    assert branches[3]["expand"]["kernel"][7, 2] == there[29, 7, 0, 0]
    there = arrays[f"{names}mlp.fc2.0.weight"]
    assert branches[1]["project"]["kernel"][4, 6] == there[6, 13, 0, 0]
    there = arrays["network.1.proj.conv.weight"]  # [C', C, K, K]
    assert params["downsamples"][0]["conv"]["kernel"][2, 1, 7, 11] == there[11, 7, 2, 1]
    there = arrays[f"{names}mlp.norm.running_var"]
    norms = state["stages"][1]["blocks"][1]["feedforward"]["branches"]
    assert np.array_equal(norms[2]["conv_norm"]["var"], there[18:27])


# Files of every kind.


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".pt", ".pth.tar"])
def test_files_there_and_back(tmp_path, suffix, request):
    """Bit by bit, but for the counters of batches, which start again."""
    if ".p" in suffix:
        request.getfixturevalue("torch")
    arrays = official()
    config, params, state = load(arrays)
    path = tmp_path / f"weights{suffix}"
    convert.save_torch(path, "transxnet", config, params, state)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    found, _ = read(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(found[name], array), name
        assert found[name].dtype == array.dtype, name
    again = load(path)
    assert again[0] == config
    assert_same(again[1:], (params, state))


def test_a_plain_dict_of_tensors_is_what_torch_reads(torch, tmp_path):
    arrays, path = official(), tmp_path / "weights.pth"
    convert.save_torch(path, "transxnet", *load(arrays))
    content = torch.load(path, weights_only=True)
    assert type(content) is dict
    assert content.keys() == golden_transxnet.names_and_shapes(SMALL).keys()
    for name, tensor in content.items():
        assert tensor.shape == arrays[name].shape
        counter = name.endswith("num_batches_tracked")
        assert tensor.dtype == (torch.int64 if counter else torch.float32)


def test_counters_start_at_zero():
    arrays = official()
    for name in arrays:
        if name.endswith("num_batches_tracked"):
            arrays[name] = np.asarray(7)
    back = to_torch(*load(arrays))
    for name, array in back.items():
        assert array == 0 if "tracked" in name else np.array_equal(array, arrays[name])


def timm_checkpoint(arrays, averages=None, container="state_dict", prefix=""):
    """What timm's training script saves."""
    content = {
        "epoch": 299,
        "arch": "transxnet_t",
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "version": 2,
        "args": argparse.Namespace(model="transxnet_t", lr=2e-3, opt_betas=None),
        container: {f"{prefix}{name}": array for name, array in arrays.items()},
        "metric": 81.6,
    }
    if averages is not None:
        content["state_dict_ema"] = averages
    return content


@pytest.mark.parametrize("container", ["state_dict", "state_dict_ema", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_training_checkpoints(torch, tmp_path, container, prefix):
    content = timm_checkpoint(official(), container=container, prefix=prefix)
    path = write_torch(torch, tmp_path / "checkpoint.pth.tar", content)
    assert_same(load(path)[1:], load(official())[1:])


def test_averaged_weights_are_preferred(torch, tmp_path):
    averages = {name: np.asarray(a // 2) for name, a in official().items()}
    path = tmp_path / "checkpoint.pth.tar"
    write_torch(torch, path, timm_checkpoint(official(), averages))
    assert_same(load(path)[1:], load(averages)[1:])
    write_torch(torch, path, timm_checkpoint(official()) | {"state_dict_ema": None})
    assert_same(load(path)[1:], load(official())[1:])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", "a mapping"])
def test_half_precision_becomes_single(tmp_path, suffix):
    half = {
        name: array.astype(np.float16) if array.ndim else array
        for name, array in official().items()
    }
    source = half
    if suffix != "a mapping":
        source = tmp_path / f"weights{suffix}"
        if suffix == ".npz":
            np.savez(source, **half)
        else:
            from safetensors.numpy import save_file

            save_file(half, source)
    _, params, state = load(source)
    _, *expected = load(official())
    for a, b in zip(
        jax.tree.leaves((params, state)), jax.tree.leaves(expected), strict=True
    ):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=2**-10, atol=1e-7)


def test_our_own_file_keeps_its_config(tmp_path):
    config = dataclasses.replace(
        SMALL, drop_path=0.3, scale=0.5, table_resize="grid", remat=(True, False)
    )
    _, params, state = load(official())
    path = tmp_path / "ours.safetensors"
    convert.save(path, params, state, config)
    again = load(path)
    assert again[0] == config
    assert_same(again[1:], (params, state))
    assert load(path, drop_path=0.0, scale=None)[0] == dataclasses.replace(
        config, drop_path=0.0, scale=None
    )
    convert.save(path, params, state)
    with pytest.raises(ValueError, match="carry no config"):
        load(path)


# Options.


def test_options_that_leave_no_trace():
    options = {
        "scale": 0.3,
        "drop_path": 0.4,
        "dropout": 0.1,
        "remat": (True, True),
        "table_resize": "grid",
    }
    config, params, state = load(official(), **options)
    assert config == dataclasses.replace(SMALL, **options)
    assert_same((params, state), load(official())[1:])


def outputs(config, params, state):
    """Shapes of what the network gives for an image."""
    image = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    out, _ = jax.eval_shape(transxnet.build(config).apply, params, state, image)
    return jax.tree.map(jnp.shape, out)


def test_another_number_of_classes_starts_the_head_afresh():
    config, params, state = load(official(), num_classes=7)
    assert config == dataclasses.replace(SMALL, num_classes=7)
    _, before, before_state = load(official())
    assert params["head"]["kernel"].shape == (12, 7)
    assert 0 < np.abs(params["head"]["kernel"]).max() < 0.2
    assert not params["head"]["bias"].any()
    assert_same(params | {"head": None}, before | {"head": None})
    assert_same(state, before_state)
    assert outputs(config, params, state) == (1, 7)


def test_the_same_number_of_classes_keeps_the_head():
    assert_same(load(official(), num_classes=5)[1:], load(official())[1:])


def test_features_of_a_classifier_and_back(tmp_path):
    config, params, state = load(official(), features_only=True)
    assert config == dataclasses.replace(SMALL, features_only=True)
    _, before, _ = load(official())
    shared = before.keys() - {"norm", "head"}
    assert params.keys() == shared | {"feature_norms"}
    assert_same({n: params[n] for n in shared}, {n: before[n] for n in shared})
    assert outputs(config, params, state) == ((1, 4, 4, 8), (1, 2, 2, 12))
    again, classifying, _ = load(
        to_torch(config, params, state), features_only=False, num_classes=5
    )
    assert again == SMALL and classifying.keys() == before.keys()
    assert_same({n: classifying[n] for n in shared}, {n: before[n] for n in shared})


def test_another_image_size_resizes_the_tables():
    """The official code cannot load such a checkpoint."""
    config, params, state = load(official(), image_size=40)
    assert config == dataclasses.replace(SMALL, image_size=40)
    _, before, _ = load(official())
    assert_same(params, transxnet.resize_tables(SMALL, before, 40))
    assert params["stages"][0]["position"].shape == (1, 100, 25)
    # So saved, it is a checkpoint of that size.
    assert load(to_torch(config, params, state))[0] == config


def test_options_together_and_of_our_own_file(tmp_path):
    path, wanted = tmp_path / "ours.safetensors", {"image_size": 32, "num_classes": 2}
    config, *weights = load(official())
    convert.save(path, *weights, config)
    one, other = load(path, **wanted), load(official(), **wanted)
    assert one[0] == other[0] == dataclasses.replace(SMALL, **wanted)
    assert_same(one[1:], other[1:])


@pytest.mark.parametrize("name", ["depths", "widths", "nonsense"])
def test_unknown_options(name):
    message = f"options must be among scale, drop_path, .*; got {name}."
    with pytest.raises(ValueError, match=message):
        load(official(), **{name: (1,)})


# What is off is said, once, all at once.


def complaints(arrays, **options):
    with pytest.raises(convert.ConversionError) as raised:
        load(arrays, **options)
    assert str(raised.value).splitlines()[1:] == [
        f"  {line}" for line in raised.value.complaints
    ]
    return raised.value.complaints


def test_one_error_lists_all_that_is_off():
    arrays = official()
    del arrays["network.2.1.mlp.norm.bias"], arrays["classifier.0.weight"]
    arrays["extra.weight"] = np.zeros((2, 3), np.float32)
    arrays["network.0.0.token_mixer.global_unit.q.bias"] = np.zeros(9, np.float32)
    arrays["network.2.0.layer_scale_1.weight"] = np.zeros((12, 2, 1, 1), np.float32)
    attention = "params/stages/0/blocks/0/mixer/attention"
    assert sorted(complaints(arrays)) == [
        "misshapen: network.0.0.token_mixer.global_unit.q.bias -> "
        f"{attention}/query/bias must be (4,); got (9,)",
        "misshapen: network.2.0.layer_scale_1.weight (12, 2, 1, 1): "
        "must be [C, 1, K, K]",
        "missing: classifier.0.weight -> params/norm/scale (12,)",
        "missing: network.2.1.mlp.norm.bias -> "
        "params/stages/1/blocks/1/feedforward/branches/0/conv_norm/bias (9,)",
        "unmatched: extra.weight (2, 3)",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "patch_embed.proj.conv.weight",
        "relative_pos_enc.1",
        "network.0.0.pos_embed.weight",
        "network.0.0.layer_scale_1.weight",
        "network.0.0.token_mixer.local_unit.weight",
        "network.0.0.token_mixer.global_unit.sr.0.conv.weight",
        "network.2.0.mlp.fc1.0.weight",
        "network.2.1.mlp.fc1.0.weight",
        "network.1.proj.bn.running_mean",
        "classifier.2.weight",
        "classifier.2.bias",
    ],
)
def test_what_is_missing_is_told_and_nothing_else(name):
    arrays = official()
    del arrays[name]
    (line,) = complaints(arrays)
    assert line.startswith(f"missing: {name} ")


def test_names_that_tell_the_sizes_are_told_together():
    arrays = official()
    lost = ["relative_pos_enc.0", "network.2.0.pos_embed.weight"]
    for name in lost:
        del arrays[name]
    assert complaints(arrays) == [f"missing: {name} of a TransXNet" for name in lost]


def test_a_lost_norm_of_batches_is_no_group_norm():
    arrays = official(CONFIGS["batch norm"])
    del arrays["network.0.0.norm1.running_mean"]
    (line,) = complaints(arrays)
    assert line.startswith("missing: network.0.0.norm1.running_mean -> state/")


def test_a_lost_block():
    arrays = {n: a for n, a in official().items() if not n.startswith("network.2.0.")}
    assert all(line.startswith("missing: network.2.0.") for line in complaints(arrays))


@pytest.mark.parametrize(
    "name", ["network.0.0.pos_embed.weight", "relative_pos_enc.0", "classifier.2.bias"]
)
def test_arrays_of_another_rank(name):
    (line,) = complaints(official() | {name: np.zeros((), np.float32)})
    assert line.startswith(f"misshapen: {name}")


def test_tables_of_images_that_are_not_square():
    _, params, state = load(official())
    resized = transxnet.resize_tables(SMALL, params, 16, 24)
    (line,) = complaints(to_torch(SMALL, resized, state))
    assert line.startswith("misshapen: relative_pos_enc.0 (1, 1, 24, 6): must be of")


@pytest.mark.parametrize(
    "names",
    [
        ["conv1.weight", "layer1.0.conv1.weight", "layer4.1.bn2.running_var"],
        ["cls_token", "blocks.0.attn.qkv.weight", "head.weight"],
        ["network.0.0.token_mixer.norm.weight", "network.0.0.mlp.fc1.weight"],
        [],
    ],
    ids=["ResNet", "ViT", "PoolFormer", "nothing"],
)
def test_a_checkpoint_of_another_network(names):
    lines = complaints({name: np.zeros((4, 4, 1, 1)) for name in names})
    assert "missing: network.0.0.pos_embed.weight of a TransXNet" in lines
    assert len(lines) <= 5
    assert not any(name in line for name in names for line in lines)


class Trap:
    """A pickle that makes a file when it is opened freely."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_checkpoint_that_runs_code_is_refused(torch, tmp_path):
    sprung, path = tmp_path / "sprung", tmp_path / "checkpoint.pth.tar"
    content = timm_checkpoint(official())
    content["args"].trap = Trap(str(sprung))
    write_torch(torch, path, content)
    message = f"{path}: not a readable PyTorch file of weights alone: it holds "
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load(path)
    assert not sprung.exists() and len(str(raised.value).splitlines()) == 1
    torch.load(path, weights_only=False)
    assert sprung.exists()  # it would have sprung


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated_checkpoints(torch, tmp_path, share):
    path = tmp_path / "checkpoint.pth.tar"
    write_torch(torch, path, timm_checkpoint(official()))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load(path)


# Writing.


@pytest.mark.parametrize(
    ("name", "system", "message"),
    [
        ("weights.onnx", "transxnet", "the suffix must be one of .pth, .pt, .pkl"),
        ("weights.npz", "gsanet", "system must be one of pglsum, transxnet, which"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, system, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        convert.save_torch(tmp_path / name, system, *load(official()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("suffix", "writer"),
    [
        (".npz", "numpy.savez"),
        (".safetensors", "safetensors.numpy.save_file"),
        (".pth", "torch.save"),
    ],
)
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path, monkeypatch, suffix, writer, request
):
    if suffix == ".pth":
        request.getfixturevalue("torch")
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"old")

    def half_a_file(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(writer, half_a_file)
    with pytest.raises(OSError, match="disk full"):
        convert.save_torch(path, "transxnet", *load(official()))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


def test_writing_torch_files_without_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    weights = load(official())
    with pytest.raises(ImportError, match="writing PyTorch files needs torch"):
        convert.save_torch(tmp_path / "weights.pth", "transxnet", *weights)
    assert not list(tmp_path.iterdir())


# The script.


def test_rewriting_there_and_back(tmp_path, capsys):
    source, ours, theirs = (
        tmp_path / name for name in ("a.npz", "b.safetensors", "c.safetensors")
    )
    np.savez(source, **official())
    rewrite.rewrite("transxnet", source, ours)
    rewrite.rewrite("transxnet", ours, theirs, to="torch")
    lines = capsys.readouterr().out.splitlines()
    count = sum(a.size for n, a in official().items() if ".running" not in n) - sum(
        n.endswith("tracked") for n in official()
    )
    told = f"transxnet, no published variant; {count:,} parameters; images of 16 x 16"
    assert lines[0] == f"{source}: {told} pixels; 5 classes."
    assert lines[1].startswith(f"Wrote {ours}, 0.")
    assert lines[2] == f"{ours}: {told} pixels; 5 classes."
    assert "counters of batches start at zero" in lines[3]
    found, _ = read(theirs)
    assert_same(found, official())


def test_rewriting_tells_what_changed(tmp_path, capsys):
    source, output = tmp_path / "a.npz", tmp_path / "b.safetensors"
    np.savez(source, **official())
    rewrite.rewrite("transxnet", source, output, num_classes=2, image_size=32)
    lines = capsys.readouterr().out.splitlines()
    assert "images of 32 x 32 pixels; 2 classes" in lines[1]
    assert lines[2] == (
        "Resized or starting afresh: head/bias, head/kernel, stages/0/position, "
        "stages/1/position."
    )
    assert load(output)[0] == dataclasses.replace(SMALL, num_classes=2, image_size=32)


def test_descriptions():
    def described(config):
        return rewrite.describe(
            "transxnet", config, transxnet.build(config).shapes()[0]
        )

    assert described(dataclasses.replace(SMALL, image_size=28)) == (
        "transxnet, no published variant; 12,991 parameters; images of 28 x 28 pixels; "
        "5 classes."
    )
    config = dataclasses.replace(
        transxnet.VARIANTS["tiny"], features_only=True, drop_path=0.0, num_classes=3
    )
    assert described(config) == (
        "transxnet, tiny; 12,386,544 parameters; images of 224 x 224 pixels; "
        "feature maps."
    )


def test_gsanet_is_written_as_ours_alone(tmp_path, capsys):
    config = gsanet.VARIANTS["8px"]
    source, output = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    shapes = gsanet.build(config).shapes()
    weights = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    convert.save(source, *weights, config)
    rewrite.rewrite("gsanet", source, output)
    assert "gsanet, 8px; 81,930 parameters" in capsys.readouterr().out
    assert read(output)[0].keys() == read(source)[0].keys()
    with pytest.raises(ValueError, match="system must be one of pglsum, transxnet"):
        rewrite.rewrite("gsanet", source, tmp_path / "c.npz", to="torch")
    with pytest.raises(ValueError, match="gsanet weights do not change image_size"):
        rewrite.rewrite("gsanet", source, output, image_size=2)
    with pytest.raises(ValueError, match="to must be one of ours, torch; got 'onnx'"):
        rewrite.rewrite("gsanet", source, output, to="onnx")


def test_the_script(tmp_path):
    """In a process of its own, as users run it."""
    source, output = tmp_path / "a.npz", tmp_path / "b.safetensors"
    np.savez(source, **official())
    flags = f"--source={source}", f"--output={output}", "--num_classes=2"
    result = subprocess.run(
        [sys.executable, "experiments/convert_checkpoint.py", *flags],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "Resized or starting afresh: head/bias" in result.stdout
    kept = json.loads(read(output)[1]["config"])
    assert kept["num_classes"] == 2 and kept["widths"] == [8, 12]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--source=a.npz"], "--output is missing: The file to write"),
        (["--source=nowhere.npz", "--output=b.npz"], "nowhere.npz: no such weights"),
        (["--source=a.npz", "--output=b.npz", "--to=onnx"], "one of <ours|torch>"),
        (["--source=a.npz", "--output=b.npz", "--ema"], "--ema are of runs"),
        (["--source=.", "--output=b.npz", "--num_classes=3"], "are for files"),
    ],
)
def test_the_script_refuses_in_a_line(flags, message):
    code, _, err = run_script("convert_checkpoint", *flags)
    assert code == 1 and message in err


@pytest.mark.slow
def test_the_script_takes_a_run(tmp_path):
    from gpsattn_jax.data.images.sets import DataConfig
    from gpsattn_jax.systems import transxnet as system
    from gpsattn_jax.training.config import TrainConfig

    pytest.importorskip("sklearn", reason="needs sklearn (extra: data)")
    model = dataclasses.replace(SMALL, image_size=8, in_channels=1, num_classes=10)
    config = system.Config(
        model=model,
        data=DataConfig(name="digits", train_images=20, validation_images=10),
        train=TrainConfig(num_steps=1, batch_size=8),
    )
    system.train(config, tmp_path / "run")
    output = tmp_path / "weights.npz"
    flags = f"--source={tmp_path / 'run'}", f"--output={output}", "--to=torch"
    code, out, err = run_script("convert_checkpoint", *flags)
    assert code == 0 and "step 1: transxnet" in out, err
    run = system.restore(tmp_path / "run")
    assert_same(load(output)[1:], jax.device_get((run.params, run.state)))


# Weights without a head.


def headless(*prefixes):
    return {n: a for n, a in official().items() if not n.startswith(prefixes)}


@pytest.mark.parametrize("prefixes", [("classifier.2.",), ("classifier.",)])
def test_weights_without_a_head_where_it_is_not_needed(prefixes):
    arrays = headless(*prefixes)
    with pytest.raises(convert.ConversionError, match="missing: classifier.2.weight"):
        load(arrays)
    config, params, state = load(arrays, headless=True)
    assert config == dataclasses.replace(SMALL, num_classes=0)
    assert "head" not in params and outputs(config, params, state) == (1, 12)
    config, params, state = load(arrays, num_classes=7)
    assert config.num_classes == 7 and outputs(config, params, state) == (1, 7)
    config, params, state = load(arrays, features_only=True)
    assert outputs(config, params, state) == ((1, 4, 4, 8), (1, 2, 2, 12))
    maps = to_torch(config, params, state)  # a backbone's checkpoint, with its norms
    config, params, state = load(maps, num_classes=7)
    assert config == dataclasses.replace(SMALL, num_classes=7)
    assert outputs(config, params, state) == (1, 7)


def test_no_classes_give_the_features_before_the_head():
    images = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    network, params, state = convert.load("transxnet", official())
    logits, _ = network.apply(params, state, images)
    pooled, *weights = convert.load("transxnet", official(), num_classes=0)
    assert "head" not in weights[0]
    features, _ = pooled.apply(*weights, images)
    expected = features @ params["head"]["kernel"] + params["head"]["bias"][None]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_stem_for_one_channel():
    config, params, _ = load(official(), in_channels=1)
    assert config == dataclasses.replace(SMALL, in_channels=1)
    colours = official()["patch_embed.proj.conv.weight"].sum(1)
    kernel = params["stem"]["conv"]["kernel"][:, :, 0].transpose(2, 0, 1)
    np.testing.assert_allclose(kernel, colours, rtol=1e-5, atol=1e-6)
