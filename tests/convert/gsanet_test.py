"""Weights from files: parity with PyTorch, round trips, and everything that is off."""

import argparse
import dataclasses
import json
import os
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.models import gsanet
from gpsattn_jax.modules import Functional, GlobalSelfAttention

GOLDEN = [
    "a_content_only",
    "b_square_eval",
    "c_rect_eval",
    "d_rect_train",
    "e_table_longer",
    "f_local_window",
    "g_dim_out",
    "h_query_softmax",
    "i_no_batchnorm",
    "j_default_init_scale",
]


def channels_last(images):
    return jnp.asarray(np.moveaxis(images, 1, -1))


def assert_close(ours, theirs, tolerance, name=""):
    """Agreement relative to the array's largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, name
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max(), name


def module_options(config):
    return {
        "num_heads": config["heads"],
        "query_softmax": config.get("norm_queries", False),
    }


def prefixed(file, prefix):
    names = [name for name in file if name.startswith(prefix)]
    return {name.removeprefix(prefix): file[name] for name in names}


# Parity with arrays that the PyTorch module computed.


def test_every_golden_file_is_here(golden):
    assert {path.stem for path in (golden / "gsanet").glob("*.npz")} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(golden, name):
    with np.load(golden / "gsanet" / f"{name}.npz") as file:
        file = dict(file)
    config = json.loads(str(file["config"]))
    network, params, state = convert.load(
        "gsa_module", prefixed(file, "param/"), **module_options(config)
    )
    cotangent = channels_last(file["cotangent"])

    @jax.jit
    def run(params, x):
        def objective(params, x):
            out, new_state = network.apply(params, state, x, train=config["train"])
            return (out * cotangent).sum(), (out, new_state)

        return jax.grad(objective, argnums=(0, 1), has_aux=True)(params, x)

    (gradients, gradient), (out, new_state) = run(params, channels_last(file["input"]))
    assert_close(out, channels_last(file["output"]), 2e-5)
    assert_close(gradient, channels_last(file["grad_input"]), 1e-4)
    # A gradient has its parameter's shape, so that the same rules rename it.
    theirs = prefixed(file, "param/") | prefixed(file, "grad_param/")
    _, expected, _ = convert.load("gsa_module", theirs, **module_options(config))
    names = jax.tree_util.tree_leaves_with_path(expected)
    for (path, wanted), leaf in zip(names, jax.tree.leaves(gradients), strict=True):
        assert_close(leaf, wanted, 1e-4, jax.tree_util.keystr(path))
    updated = prefixed(file, "updated/norm.running_")
    assert bool(updated) == (config["train"] and "norm" in state)
    for statistic, wanted in updated.items():
        assert_close(new_state["norm"][statistic], wanted, 2e-5, statistic)


# The golden files are this module's numbers for every option, so two rows do: they
# show that the package that is installed is the one that the files came from.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "train"),
    [({"rel_pos_length": 3, "norm_queries": True}, False), ({"dim_out": 11}, True)],
)
def test_parity_with_the_installed_module(torch, gsa_pytorch, tmp_path, options, train):
    torch.manual_seed(0)
    theirs = gsa_pytorch.GSA(10, heads=4, dim_key=6, **options).train(train)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))
        for name, buffer in theirs.named_buffers():
            if "running" in name:
                buffer.copy_(torch.rand(buffer.shape) + 0.5)
    path = tmp_path / "gsa.pth"
    torch.save(theirs.state_dict(), path)
    network, params, state = convert.load(
        "gsa_module", path, num_heads=4, query_softmax="norm_queries" in options
    )
    x = torch.randn(2, 10, 6, 9)
    out, new_state = network.apply(params, state, channels_last(x.numpy()), train=train)
    assert_close(out, channels_last(theirs(x).detach().numpy()), 2e-5)
    if "norm" in state:
        after = theirs.state_dict()
        assert_close(new_state["norm"]["mean"], after["norm.running_mean"], 2e-5)
        assert_close(new_state["norm"]["var"], after["norm.running_var"], 2e-5)


# Files of every kind.


def weights(*, heads=2, channels=6, dim_key=3, out=5, rows=7):
    """A state dict of the public module, made up."""
    generator = np.random.default_rng(0)
    shapes = {
        "to_qkv.weight": (3 * heads * dim_key, channels, 1, 1),
        "to_out.weight": (out, heads * dim_key, 1, 1),
        "to_out.bias": (out,),
        "rel_rows": (rows, dim_key),
        "rel_columns": (rows, dim_key),
        "norm.weight": (dim_key,),
        "norm.bias": (dim_key,),
        "norm.running_mean": (dim_key,),
        "norm.running_var": (dim_key,),
    }
    arrays = {
        name: generator.uniform(0.5, 1.5, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    return arrays | {"norm.num_batches_tracked": np.asarray(3)}


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


def load_module(source, **options):
    network, params, state = convert.load("gsa_module", source, num_heads=2, **options)
    return params, state


def write_torch(torch, path, content):
    def tensors(tree):
        if isinstance(tree, dict):
            return {name: tensors(branch) for name, branch in tree.items()}
        return torch.from_numpy(tree) if isinstance(tree, np.ndarray) else tree

    torch.save(tensors(content), path)
    return path


def test_where_each_array_goes():
    params, state = load_module(weights())
    arrays = weights()
    query, key, value = arrays["to_qkv.weight"][..., 0, 0].reshape(3, 2, 3, 6)
    for name, third in (("query", query), ("key", key), ("value", value)):
        assert np.array_equal(params[name]["kernel"], np.moveaxis(third, -1, 0))
    out = arrays["to_out.weight"][..., 0, 0].reshape(5, 2, 3)
    assert np.array_equal(params["out"]["kernel"], np.moveaxis(out, 0, -1))
    assert np.array_equal(params["column_table"], arrays["rel_rows"])
    assert np.array_equal(params["row_table"], arrays["rel_columns"])
    assert np.array_equal(state["norm"]["var"], arrays["norm.running_var"])


def test_npz(tmp_path):
    path = tmp_path / "gsa.npz"
    np.savez(path, **weights())
    assert_same(load_module(path), load_module(weights()))
    assert_same(load_module(str(path)), load_module(weights()))


def test_foreign_safetensors(tmp_path):
    from safetensors.numpy import save_file

    save_file(weights(), tmp_path / "gsa.safetensors")
    assert_same(load_module(tmp_path / "gsa.safetensors"), load_module(weights()))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".tar", ".pth.tar"])
def test_torch_files(torch, tmp_path, suffix):
    path = write_torch(torch, tmp_path / f"gsa{suffix}", weights())
    assert_same(load_module(path), load_module(weights()))


@pytest.mark.parametrize(
    "container", ["state_dict", "model_state_dict", "model", "module"]
)
def test_weights_among_other_things(torch, tmp_path, container):
    content = {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, name="run"),
        "optimizer": {"param_groups": [{"lr": 0.1}]},
        container: {f"module.{name}": array for name, array in weights().items()},
    }
    path = write_torch(torch, tmp_path / "checkpoint.tar", content)
    assert_same(load_module(path), load_module(weights()))


def test_containers_in_containers(torch, tmp_path):
    content = {"model": {"state_dict": weights()}}
    path = write_torch(torch, tmp_path / "checkpoint.pt", content)
    assert_same(load_module(path), load_module(weights()))


def test_a_prefix_that_every_name_has_goes():
    everywhere = {f"module.{name}": array for name, array in weights().items()}
    assert_same(load_module(everywhere), load_module(weights()))


@pytest.mark.parametrize("kind", [".npz", ".pth", "bfloat16 .pth", "mapping"])
def test_half_precision_becomes_single(tmp_path, kind, request):
    half = {
        name: array if array.dtype.kind == "i" else array.astype(np.float16)
        for name, array in weights().items()
    }
    source = half
    if kind == ".npz":
        source = tmp_path / "gsa.npz"
        np.savez(source, **half)
    elif kind.endswith(".pth"):
        torch = request.getfixturevalue("torch")
        dtype = torch.bfloat16 if kind.startswith("bfloat16") else torch.float16
        content = {name: torch.from_numpy(a) for name, a in weights().items()}
        content = {
            n: t.to(dtype) if t.is_floating_point() else t for n, t in content.items()
        }
        source = tmp_path / "gsa.pth"
        torch.save(content, source)
    single = load_module(weights())
    for a, b in zip(
        jax.tree.leaves(load_module(source)), jax.tree.leaves(single), strict=True
    ):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=2**-8)


def test_a_mapping_of_tensors(torch):
    tensors = {name: torch.from_numpy(array) for name, array in weights().items()}
    tensors["rel_rows"].requires_grad_()
    assert_same(load_module(tensors), load_module(weights()))


# Our own files: what goes in comes out.

MODULES = {
    "paper": {},
    "public": {"norm": "head", "out_channels": 5},
    "widths": {"key_channels": 4, "value_channels": 8, "norm": "none"},
    "content": {"column": False, "row": False},
    "position": {"content": False},
    "row": {"content": False, "column": False},
    "column": {"row": False},
}


def shaken(network):
    params, state = network.shapes()
    generator = np.random.default_rng(0)
    fill = lambda leaf: jnp.asarray(  # noqa: E731
        generator.uniform(0.5, 2, leaf.shape), leaf.dtype
    )
    return jax.tree.map(fill, params), jax.tree.map(fill, state)


@pytest.mark.parametrize("options", MODULES.values(), ids=MODULES.keys())
def test_round_trip_of_a_module(tmp_path, options):
    options = {"channels": 6, "num_heads": 2, "window": 4} | options
    network = Functional(lambda rngs: GlobalSelfAttention(**options, rngs=rngs))
    params, state = shaken(network)
    path = tmp_path / "module.safetensors"
    convert.save(path, params, state)
    loaded, loaded_params, loaded_state = convert.load("gsa_module", path, num_heads=2)
    assert_same((loaded_params, loaded_state), (params, state))
    x = jnp.asarray(np.random.default_rng(1).standard_normal((2, 3, 4, 6)), np.float32)
    for train in (False, True):
        one, one_state = network.apply(params, state, x, train=train)
        other, other_state = loaded.apply(loaded_params, loaded_state, x, train=train)
        assert_same((one, one_state), (other, other_state))


@pytest.mark.parametrize("name", ["8px", "32px"])
def test_round_trip_of_a_network(tmp_path, name):
    config = dataclasses.replace(gsanet.VARIANTS[name], window=5, query_softmax=True)
    network = gsanet.build(config)
    params, state = shaken(network)
    path = tmp_path / "folder" / "network.safetensors"
    convert.save(path, params, state, config)
    loaded, *arrays = convert.load("gsanet", path)
    assert_same(tuple(arrays), (params, state))
    assert loaded.config == network.config == config
    loaded, *arrays = convert.load("gsanet", str(path), config=config)
    assert_same(tuple(arrays), (params, state))


def test_a_network_without_config_asks_for_it(tmp_path):
    config = gsanet.VARIANTS["8px"]
    arrays = shaken(gsanet.build(config))
    convert.save(tmp_path / "network.safetensors", *arrays)
    with pytest.raises(ValueError, match="carry no config; pass config="):
        convert.load("gsanet", tmp_path / "network.safetensors")
    _, *loaded = convert.load("gsanet", tmp_path / "network.safetensors", config=config)
    assert_same(tuple(loaded), arrays)


# What is off is said, once, all at once.


def complaints(arrays, **options):
    with pytest.raises(convert.ConversionError) as raised:
        convert.load("gsa_module", arrays, **{"num_heads": 2} | options)
    return str(raised.value).splitlines()[1:]


def test_one_error_lists_all_that_is_off():
    arrays = weights()
    del arrays["to_out.bias"]
    arrays["extra.weight"] = np.zeros((2, 3))
    arrays["rel_columns"] = arrays["rel_columns"][:, :2]
    arrays["norm.running_var"] = np.zeros(4)
    lines = complaints(arrays)
    for kind, name, times in (
        ("unmatched", "extra.weight", 1),
        ("missing", "out/bias", 1),
        ("misshapen", "row_table", 1),
        ("misshapen", "norm/var", 1),
    ):
        found = [line for line in lines if kind in line and name in line]
        assert len(found) == times, (kind, name, lines)
    assert len(lines) == 4, lines


@pytest.mark.parametrize(
    "lost",
    [
        ["norm.weight"],
        ["norm.bias", "norm.running_mean"],
        ["rel_rows"],
        ["rel_rows", "rel_columns"],
        ["rel_rows", "norm.weight", "norm.bias", "norm.running_mean"],
        ["to_out.weight"],
        ["to_out.weight", "to_out.bias"],
        ["to_qkv.weight"],
        ["to_qkv.weight", "norm.bias"],
    ],
    ids=" ".join,
)
def test_what_is_missing_is_listed_and_nothing_else(lost):
    arrays = {name: a for name, a in weights().items() if name not in lost}
    lines = complaints(arrays)
    assert all("missing" in line for line in lines), lines
    told = {line.split()[1] for line in lines}
    assert told == set(lost), lines


def test_convolutions_larger_than_a_pixel_are_refused():
    arrays = weights()
    arrays["to_qkv.weight"] = np.zeros((18, 6, 3, 3), np.float32)
    (line,) = complaints(arrays)
    assert "misshapen: to_qkv.weight (18, 6, 3, 3)" in line


def test_our_own_file_knows_its_heads_and_what_was_saved_beside(tmp_path):
    network, params, state = convert.load(
        "gsa_module", weights(), num_heads=2, query_softmax=True
    )
    path = tmp_path / "module.safetensors"
    convert.save(path, params, state, config={"query_softmax": True})
    x = jnp.ones((1, 3, 4, 6))
    again, *_ = convert.load("gsa_module", path)
    np.testing.assert_array_equal(
        again.apply(params, state, x)[0], network.apply(params, state, x)[0]
    )
    with pytest.raises(ValueError, match="query_softmax is True in these weights"):
        convert.load("gsa_module", path, query_softmax=False)
    with pytest.raises(ValueError, match="num_heads is 2 in these weights; got 4"):
        convert.load("gsa_module", path, num_heads=4)


def test_shapes_are_told():
    arrays = weights()
    arrays["norm.running_mean"] = np.zeros(4, np.float32)
    (line,) = complaints(arrays)
    assert "(3,)" in line and "(4,)" in line


def test_wrong_number_of_heads():
    lines = complaints(weights(), num_heads=4)
    text = "\n".join(lines)
    assert "to_qkv.weight (18, 6, 1, 1)" in text
    assert "num_heads=4" in text
    assert sum("to_qkv.weight" in line for line in lines) == 1


def test_a_number_of_heads_that_divides_but_does_not_fit():
    lines = complaints(weights(), num_heads=3)
    assert any("misshapen" in line and "table" in line for line in lines)


def test_tables_of_two_lengths():
    arrays = weights()
    arrays["rel_columns"] = np.zeros((9, 3), np.float32)
    lines = complaints(arrays)
    assert len(lines) == 1 and "table" in lines[0]
    assert "(9, 3)" in lines[0] and "(7, 3)" in lines[0]


def test_no_weights_of_a_module_at_all():
    lines = complaints({"fc.weight": np.zeros((2, 3)), "fc.bias": np.zeros(2)})
    assert sum("fc.weight" in line for line in lines) == 1
    assert sum("fc.bias" in line for line in lines) == 1


def test_an_empty_state_dict():
    with pytest.raises(convert.ConversionError):
        load_module({})


def test_a_network_lists_every_key_that_is_off(tmp_path):
    config = gsanet.VARIANTS["8px"]
    params, state = shaken(gsanet.build(config))
    params["extra"] = jnp.zeros(3)
    del params["head"]["bias"]
    params["stem"]["kernel"] = jnp.zeros((1, 1, 1, 32))
    convert.save(tmp_path / "network.safetensors", params, state, config)
    with pytest.raises(convert.ConversionError) as raised:
        convert.load("gsanet", tmp_path / "network.safetensors")
    lines = str(raised.value).splitlines()[1:]
    assert len(lines) == 3
    assert "  unmatched: params/extra (3,)" in lines
    assert "  missing: params/head/bias (10,)" in lines
    assert any("misshapen: params/stem/kernel" in line for line in lines)


def test_unknown_system():
    message = (
        "system must be one of efficientnet_lite0, gpsnet, gsa_module, gsanet, "
        "pglsum, segmentation, transxnet; got 'gsa'."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        convert.load("gsa", weights())


# Files that are no weights, or not whole, or not harmless.


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        load_module(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("name", ["gsa.onnx", "gsa", "gsa.pickle"])
def test_unknown_suffix(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=r"\.pth.*\.npz.*\.safetensors"):
        load_module(tmp_path / name)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth", ".pt", ".tar"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_truncated_files(tmp_path, suffix, share, request):
    path = tmp_path / f"gsa{suffix}"
    if suffix == ".npz":
        np.savez(path, **weights())
    elif suffix == ".safetensors":
        convert.save(path, *load_module(weights()))
    else:
        write_torch(request.getfixturevalue("torch"), path, weights())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load_module(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
def test_noise_is_no_weights_file(tmp_path, suffix, request):
    if suffix == ".pth":
        request.getfixturevalue("torch")
    path = tmp_path / f"gsa{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load_module(path)


class Trap:
    """A pickle that makes a file when it is opened freely."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_that_runs_code_is_refused(torch, tmp_path):
    sprung = tmp_path / "sprung"
    content = {"state_dict": weights(), "extra": Trap(str(sprung))}
    for name in ("new.pth", "old.pth", "plain.tar"):
        path = tmp_path / name
        if name == "plain.tar":
            path.write_bytes(pickle.dumps(content, protocol=2))
        else:
            new = name == "new.pth"
            torch.save(content, path, _use_new_zipfile_serialization=new)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_module(path)
        assert not sprung.exists()


def test_object_arrays_are_refused(tmp_path):
    sprung = tmp_path / "sprung"
    objects = np.array([Trap(str(sprung))], object)
    np.savez(tmp_path / "gsa.npz", **weights() | {"extra": objects})
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "gsa.npz"))):
        load_module(tmp_path / "gsa.npz")
    assert not sprung.exists()


@pytest.mark.parametrize("entry", ["text", ["a", "b"], object(), None])
def test_entries_that_are_no_numbers(entry):
    with pytest.raises(ValueError, match="'note' must be an array of numbers"):
        load_module(weights() | {"note": entry})


def test_a_list_is_no_state_dict(torch, tmp_path):
    path = write_torch(torch, tmp_path / "gsa.pth", [1, 2])
    with pytest.raises(ValueError, match="must hold a state dict; got list"):
        load_module(path)


# Saving: whole or not at all.


def test_save_wants_its_suffix(tmp_path):
    with pytest.raises(ValueError, match="saved as .safetensors"):
        convert.save(tmp_path / "gsa.npz", {}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("existed", [False, True])
def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch, error, existed):
    path = tmp_path / "module.safetensors"
    params, state = load_module(weights())
    if existed:
        convert.save(path, params, state)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}

    def half_a_file(arrays, filename, *args, **kwargs):
        with open(filename, "wb") as file:
            file.write(b"half")
        raise error

    monkeypatch.setattr("safetensors.numpy.save_file", half_a_file)
    with pytest.raises(type(error)):
        convert.save(path, jax.tree.map(jnp.zeros_like, params), state)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "module.safetensors"
    params, state = load_module(weights())
    convert.save(path, params, state)
    zeros = jax.tree.map(jnp.zeros_like, params)
    seen, replace = [], os.replace

    def watched(source, target):
        seen.append((load_module(path), os.path.dirname(source)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    convert.save(path, zeros, state)
    ((arrays, folder),) = seen
    assert_same(arrays, (params, state))
    assert folder == str(tmp_path)  # another disk could not be renamed from
    assert_same(load_module(path), (zeros, state))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_saved_file_is_as_readable_as_any_other(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    convert.save(tmp_path / "module.safetensors", *load_module(weights()))
    mode = (tmp_path / "module.safetensors").stat().st_mode
    assert mode == plain.stat().st_mode
