"""PGL-SUM's official names: what they tell, what is off, and back again."""

import dataclasses
import json
import pathlib
import re

import jax
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert import rewrite
from gpsattn_jax.convert.files import read
from gpsattn_jax.convert.pglsum import to_torch
from gpsattn_jax.models import pglsum
from tests.golden_pglsum import made_network
from tests.scripts import run_script

ROOT = pathlib.Path(__file__).parents[2]
SMALL = pglsum.Config(
    input_size=12, hidden_size=24, num_heads=3, local_heads=2, num_segments=3
)
CONFIGS = {
    "small": SMALL,
    "global alone": dataclasses.replace(SMALL, num_segments=0, local_heads=4),
    "as wide as the features": dataclasses.replace(SMALL, hidden_size=12),
    "one head": dataclasses.replace(SMALL, num_heads=1, local_heads=1),
}
OPTIONS = {
    "fusion": "max", "position": "relative", "frequency": 100.0, "dropout": 0.1,
    "start": "kaiming",
}  # fmt: skip


def official(config=SMALL):
    """An official state dict, made up."""
    _, params, state = made_network(config)
    return to_torch(config, params, state)


def load(source, **options):
    network, params, state = convert.load("pglsum", source, **options)
    return rewrite.config_of(network), params, state


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


# What names and shapes tell, and what they do not.


@pytest.mark.parametrize("name", CONFIGS)
def test_sizes_are_found_and_nothing_is_lost(name):
    config = CONFIGS[name]
    config = dataclasses.replace(config, hidden_size=config.width)
    _, *weights = made_network(config)
    found, *loaded = load(official(config))
    assert found == config
    assert_same(loaded, weights)
    assert_same(to_torch(found, *loaded), official(config))


def test_names_are_the_official_ones(golden):
    with np.load(golden / "pglsum" / "c_pgl_default_T77.npz") as file:
        theirs = {
            name.removeprefix("param/"): file[name]
            for name in file.files
            if name.startswith("param/")
        }
    assert_same(to_torch(*load(theirs)), theirs)


def test_where_each_kind_of_array_goes():
    arrays = official()
    _, params, _ = load(arrays)
    there = arrays["attention.attention.Wk.2.weight"]  # [D, C]
    assert params["attention"]["whole"]["key"]["kernel"][7, 2, 5] == there[5, 7]
    there = arrays["attention.attention.out.weight"]  # [C, N D]
    assert params["attention"]["whole"]["out"]["kernel"][1, 3, 9] == there[9, 11]
    parts = params["attention"]["parts"]  # segments of two heads of four
    there = arrays["attention.local_attention.2.Wv.1.weight"]
    assert parts["value"]["kernel"][2, 9, 1, 3] == there[3, 9]
    there = arrays["attention.local_attention.1.out.weight"]
    assert parts["out"]["kernel"][1, 1, 2, 8] == there[8, 6]
    assert params["hidden"]["kernel"][3, 4] == arrays["linear_1.weight"][4, 3]
    assert params["score"]["kernel"][3, 0] == arrays["linear_2.weight"][0, 3]
    assert params["norm"]["scale"][5] == arrays["norm_y.weight"][5]
    assert params["hidden_norm"]["bias"][5] == arrays["norm_linear.bias"][5]


def test_options_that_leave_no_trace():
    found, *_ = load(official(), **OPTIONS)
    assert found == dataclasses.replace(SMALL, **OPTIONS)
    for nothing in (None, "none"):
        found, *_ = load(official(), fusion=nothing, position=nothing)
        assert (found.fusion, found.position) == ("none", "none")


def test_our_own_file_keeps_its_options_unless_others_are_given(tmp_path):
    path, config = tmp_path / "ours.safetensors", dataclasses.replace(SMALL, **OPTIONS)
    _, *weights = made_network(config)
    convert.save(path, *weights, config)
    found, *loaded = load(path)
    assert found == config
    assert_same(loaded, weights)
    assert load(path, fusion="add")[0] == dataclasses.replace(config, fusion="add")


def test_our_own_file_without_a_config(tmp_path):
    path = tmp_path / "ours.safetensors"
    _, *weights = made_network(SMALL)
    convert.save(path, *weights)
    with pytest.raises(ValueError, match="These weights carry no config"):
        load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "options must be among fusion, position, frequency,"),
        ({"fusion": "sum"}, "fusion must be one of add, mult, avg, max, none;"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0."),
    ],
)
def test_other_options(options, message):
    with pytest.raises(ValueError, match=message) as raised:
        load(official(), **options)
    assert not isinstance(raised.value, convert.ConversionError)


# Parts of the network.


@pytest.mark.parametrize("prefix", ["attention.", "attention.attention."])
def test_parts_give_features(prefix):
    """Global and local attention together, or one block of attention."""
    arrays = {
        name.removeprefix(prefix): array
        for name, array in official().items()
        if name.startswith(prefix)
    }
    network, params, state = convert.load("pglsum", arrays)
    x = jax.ShapeDtypeStruct((2, 5, 12), np.float32)
    length = jax.ShapeDtypeStruct((2,), np.int32)
    out, _ = jax.eval_shape(network.apply, params, state, x, length)
    assert out.shape == (2, 5, 12)


# What is off is said, once, all at once.


def complaints(arrays):
    with pytest.raises(convert.ConversionError) as raised:
        load(arrays)
    return sorted(raised.value.complaints)


def test_one_error_lists_all_that_is_off():
    arrays = official()
    del arrays["attention.attention.Wk.1.weight"]  # a head in the middle
    del arrays["norm_y.bias"]
    arrays["linear_3.weight"] = np.zeros((2, 3), np.float32)
    arrays["linear_2.bias"] = np.zeros((2,), np.float32)
    arrays["attention.local_attention.1.Wv.0.weight"] = np.zeros((3, 3), np.float32)
    assert complaints(arrays) == [
        "misshapen: attention.local_attention.1.Wv.0.weight -> "
        "attention/parts/value/kernel must be (4, 12); got (3, 3)",
        "misshapen: linear_2.bias -> score/bias must be (1,); got (2,)",
        "missing: attention.attention.Wk.1.weight -> "
        "attention/whole/key/kernel (8, 12)",
        "missing: norm_y.bias -> norm/bias (12,)",
        "unmatched: linear_3.weight (2, 3)",
    ]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_segment_that_is_lost(lost):
    name = f"attention.local_attention.{lost}."
    arrays = {n: a for n, a in official().items() if not n.startswith(name)}
    found = complaints(arrays)
    assert len(found) == 7
    assert all(line.startswith(f"missing: {name}") for line in found)


def test_a_head_that_is_lost_everywhere():
    arrays = {n: a for n, a in official().items() if "attention.attention.W" not in n}
    arrays |= {
        name: array
        for name, array in official().items()
        if re.search(r"attention\.attention\.W[qkv]\.[02]", name)
    }
    assert all("attention.attention.W" in line for line in complaints(arrays))
    assert len(complaints(arrays)) == 3


@pytest.mark.parametrize(
    "names", [["conv1.weight", "fc.bias"], ["W.weight"], ["attention.qkv"], []]
)
def test_weights_of_another_network(names):
    (line,) = complaints({name: np.zeros((4, 4)) for name in names})
    assert re.match(r"missing: (attention\.)*Wq\.0\.weight \(outputs, inputs\)", line)


def test_an_array_of_another_rank():
    arrays = official() | {"attention.attention.Wq.0.weight": np.zeros(())}
    (line,) = complaints(arrays)
    assert line.startswith("missing: attention.attention.Wq.0.weight (outputs, inp")


def test_sizes_that_fit_no_network():
    """Seven channels of a head and three segments of two heads."""
    arrays = official()
    for name in arrays:
        if re.search(r"attention\.attention\.W", name):
            arrays[name] = arrays[name][:7]
    (line,) = complaints(arrays)
    assert line.startswith("misshapen: attention.attention.Wq.0.weight (7, 12): hidden")


# Writing.


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_weights_written_under_the_official_names(tmp_path, suffix):
    path = tmp_path / f"theirs{suffix}"
    _, *weights = made_network(SMALL)
    convert.save_torch(path, "pglsum", SMALL, *weights)
    found, *loaded = load(path)
    assert found == SMALL
    assert_same(loaded, weights)


def test_rewriting_there_and_back(tmp_path, capsys):
    source, ours, theirs = (
        tmp_path / name for name in ("a.npz", "b.safetensors", "c.npz")
    )
    np.savez(source, **official())
    rewrite.rewrite("pglsum", source, ours, fusion="max", position="relative")
    rewrite.rewrite("pglsum", ours, theirs, to="torch")
    lines = capsys.readouterr().out.splitlines()
    count = sum(array.size for array in official().values())
    told = f"pglsum, no published variant; {count:,} parameters; 12 features a step"
    assert lines[0] == f"{source}: {told}; absolute positions, add fusion."
    assert lines[1] == f"Now: {told}; relative positions, max fusion."
    assert lines[3] == f"{ours}: {told}; relative positions, max fusion."
    expected = dataclasses.replace(SMALL, fusion="max", position="relative")
    assert load(ours)[0] == expected
    assert_same(read(theirs)[0], official())


def test_the_published_variant_is_named():
    params, _ = pglsum.build(pglsum.Config()).shapes()
    told = rewrite.describe("pglsum", pglsum.Config(hidden_size=1024), params)
    assert told.startswith("pglsum, default; 9,443,329 parameters; 1024 features")


def test_the_script(tmp_path):
    source, output = tmp_path / "a.npz", tmp_path / "b.safetensors"
    np.savez(source, **official())
    flags = "--system=pglsum", f"--source={source}", f"--output={output}"
    script = "convert_checkpoint"
    code, out, err = run_script(script, *flags, "--fusion=mult", "--position=none")
    assert code == 0 and "none positions, mult fusion" in out, err
    kept = json.loads(read(output)[1]["config"])
    assert (kept["fusion"], kept["position"]) == ("mult", "none")
    code, _, err = run_script(script, *flags, "--num_classes=2")
    assert code == 1 and "pglsum weights do not change num_classes" in err
