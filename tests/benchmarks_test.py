"""The benchmarks can be run: each has its table, and a small row comes out whole."""

import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import on_paper
from gpsattn_jax import flops
from gpsattn_jax.models import gsanet, transxnet
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.gsanet.setups import SETUPS
from tests import golden_pglsum, golden_transxnet


def test_each_has_a_head_and_rows(bench):
    for name in bench.BENCHMARKS:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        assert benchmark.HEAD and all(isinstance(cell, str) for cell in benchmark.HEAD)
        assert callable(benchmark.rows)


def test_a_row_has_the_cells_of_its_head():
    checkpoints = importlib.import_module("benchmarks.checkpoints")
    row = checkpoints.row("tiny", gsanet.VARIANTS["8px"], rounds=1, pause=0)
    assert len(row) == len(checkpoints.HEAD)
    assert all(float(cell) >= 0 for cell in row[1:])


def test_networks_of_cifar_100_are_those_of_the_table():
    networks = importlib.import_module("benchmarks.cifar_networks").networks
    table = pathlib.Path(__file__).parents[1] / "docs" / "results.md"
    text = table.read_text()
    for flags in networks(SETUPS["cifar100_patches"].model):
        if flags != "--model.mixers=gsa,gsa":  # the table's own command
            assert f"| `{flags}` |" in text


def test_parts_of_a_network_are_silenced_in_a_copy():
    parts = importlib.import_module("benchmarks.skeleton_parts")
    run = gpsnet.restore("gpsnet-utkinect")
    quiet = parts.silenced(run, "spatial", "out")
    for before, after in zip(
        run.params["blocks"].values(), quiet.params["blocks"].values(), strict=True
    ):
        for name, leaf in after["spatial"]["out"].items():
            assert not leaf.any() and np.any(before["spatial"]["out"][name])
        np.testing.assert_array_equal(after["codes"], before["codes"])


def test_evenness_of_weights():
    parts = importlib.import_module("benchmarks.skeleton_parts")
    assert parts.evenness(np.full((3, 5, 20), 0.05)) == pytest.approx(1)
    assert parts.evenness(np.eye(20)) == pytest.approx(0)


def test_a_set_that_is_not_there_is_left_out(monkeypatch, tmp_path, capsys):
    pipeline = importlib.import_module("benchmarks.input_pipeline")
    monkeypatch.setenv("GPSATTN_DATA_DIR", str(tmp_path))
    lacking = [case for case in pipeline.CASES if case.load is pipeline.imagenette]
    monkeypatch.setattr(pipeline, "CASES", lacking)
    assert list(pipeline.rows(0.0)) == []
    assert "imagenette_128_train.zip" in capsys.readouterr().err


def test_a_table_replaces_its_older_one_and_nothing_else(bench, monkeypatch, tmp_path):
    results = tmp_path / "RESULTS.md"
    text = "Before.\n<!-- tables -->\n\n{}\n\n<!-- end of tables -->\nAfter.\n"
    results.write_text(text.format("## A\nold\n\n## B\nalso old"))
    monkeypatch.setattr(bench, "RESULTS", results)
    bench.replace_table("## A\nnew")
    assert results.read_text() == text.format("## A\nnew\n\n## B\nalso old")
    bench.replace_table("## C\nnew")
    assert results.read_text() == text.format(
        "## A\nnew\n\n## B\nalso old\n\n## C\nnew"
    )


@pytest.mark.parametrize("name", ["mini_model", "full_t_224x224"])
def test_the_peer_of_transxnet_is_the_official_network(golden, torch, name):
    peers = importlib.import_module("benchmarks.transxnet_torch")
    arrays, described = golden_transxnet.read(golden, name)
    if name == "mini_model":
        config = golden_transxnet.mini_config(described)
        weights = golden_transxnet.prefixed(arrays, "param/")
        images, expected = arrays["input"], arrays["output64"]
    else:
        shapes = golden_transxnet.manifest(golden, "t")
        weights = golden_transxnet.made_weights(shapes, int(arrays["seed"]))
        draw = np.random.RandomState(int(arrays["input_seed"]))
        images = draw.standard_normal(arrays["input_shape"]).astype(np.float32)
        config, expected = transxnet.VARIANTS["tiny"], arrays["logits64"]
    peer = peers.Peer(config).eval()
    tensors = {key: torch.as_tensor(value) for key, value in weights.items()}
    peer.load_state_dict(tensors, strict=name == "mini_model")
    with torch.no_grad():
        found = peer(torch.from_numpy(images)).numpy()
    assert np.abs(found - expected).max() < 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize("shared", [False, True])
def test_the_peer_of_pglsum_is_the_official_network(golden, torch, shared):
    peers = importlib.import_module("benchmarks.pglsum_torch")
    for name in ("c_pgl_default_T77", "c_pgl_default_T200"):
        arrays, described = golden_pglsum.read(golden, name)
        config = golden_pglsum.config_of(arrays, described)
        peer = peers.Peer(config, shared=shared).eval()
        weights = golden_pglsum.prefixed(arrays, "param/")
        peer.load_state_dict(
            {key: torch.from_numpy(value) for key, value in weights.items()}
        )
        with torch.no_grad():
            found = peer(torch.from_numpy(arrays["input"])).numpy()
        assert np.abs(found - arrays["output"][0]).max() < 5e-6


def test_bytes_of_matmuls_count_each_operand_and_every_trip():
    def function(x, weight):
        def step(carry, _):
            return jnp.tanh(carry @ weight), None

        return jax.lax.scan(step, x, length=3)[0]

    shapes = [jax.ShapeDtypeStruct(s, jnp.bfloat16) for s in ((4, 8), (8, 8))]
    assert flops.matmul_bytes(function, *shapes) == 3 * 2 * (32 + 64 + 32)
    assert flops.count_flops(function, *shapes) == 3 * 2 * 4 * 8 * 8


def test_figures_on_paper_scale_as_they_should():
    """Twice the chips: half the work of each, and as long a wait for batch norms."""
    facts = {
        "bytes of gradients, float32": 4e6,
        "batch norms": 10,
        on_paper.FLOPS: 2.0,
        on_paper.EXAMPLE_BYTES: 5.0,
        on_paper.WEIGHT_BYTES: 1.0,
        on_paper.READ_BYTES: 0.5,
        on_paper.READ_RATE: 100.0,
    }
    few, many = (on_paper.on_chips(facts, 64, chips) for chips in (8, 16))
    assert few["GFLOP a step and chip (forward x 3)"] == 3 * 2.0 * 8
    assert few["ms of compute"] == pytest.approx(2 * many["ms of compute"])
    memory = "GB of memory a step and chip, at the least (forward x 3)"
    assert few[memory] == pytest.approx(3 * (5 * 8 + 1) / 1e3)
    waits = "ms of batch norms that wait for each other"
    assert few[waits] == many[waits] == pytest.approx(2 * 10 * on_paper.HOP * 1e3)
    sent = "MB that a chip sends for the gradients"
    assert few[sent] == pytest.approx(2 * 7 / 8 * 4)
    rate = "examples/s at those bounds, all chips"
    assert few[rate] < many[rate] < 2 * few[rate]
    assert few["cores that read so many"] == few[rate] / 100
