"""The benchmarks can be run: each has its table, and a small row comes out whole."""

import importlib

import pytest
from absl import flags

from gpsattn_jax.models import gsanet


@pytest.fixture(scope="module")
def run():
    """benchmarks.run, whose flags go again, so that nothing else meets them."""
    before = set(flags.FLAGS)
    module = importlib.import_module("benchmarks.run")
    yield module
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)


def test_each_has_a_head_and_rows(run):
    for name in run.BENCHMARKS:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        assert benchmark.HEAD and all(isinstance(cell, str) for cell in benchmark.HEAD)
        assert callable(benchmark.rows)


def test_a_row_has_the_cells_of_its_head():
    checkpoints = importlib.import_module("benchmarks.checkpoints")
    row = checkpoints.row("tiny", gsanet.VARIANTS["8px"], rounds=1, pause=0)
    assert len(row) == len(checkpoints.HEAD)
    assert all(float(cell) >= 0 for cell in row[1:])


def test_a_set_that_is_not_there_is_left_out(monkeypatch, tmp_path, capsys):
    pipeline = importlib.import_module("benchmarks.input_pipeline")
    monkeypatch.setenv("GPSATTN_DATA_DIR", str(tmp_path))
    lacking = [case for case in pipeline.CASES if case.load is pipeline.imagenette]
    monkeypatch.setattr(pipeline, "CASES", lacking)
    assert list(pipeline.rows(0.0)) == []
    assert "imagenette_128_train.zip" in capsys.readouterr().err


def test_tables_replace_tables_and_nothing_else(run, monkeypatch, tmp_path):
    results = tmp_path / "RESULTS.md"
    results.write_text(
        "Before.\n<!-- tables -->\nold\n<!-- end of tables -->\nAfter.\n"
    )
    monkeypatch.setattr(run, "RESULTS", results)
    run.replace_tables("new")
    assert results.read_text() == (
        "Before.\n<!-- tables -->\n\nnew\n\n<!-- end of tables -->\nAfter.\n"
    )
