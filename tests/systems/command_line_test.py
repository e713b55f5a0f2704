"""What all systems' commands share: faces, flags of single modes, grids of runs."""

import inspect
import pathlib
import subprocess
import sys

import pytest

from gpsattn_jax.systems import JOURNEYS, SYSTEMS, grids
from gpsattn_jax.systems.command_line import MODES, refuse_other_modes

FUNCTIONS = ("train", "restore", "evaluate", "predict", "report", "export")
ROOT = pathlib.Path(__file__).parents[2]

each = pytest.mark.parametrize("name", sorted(JOURNEYS))


@each
def test_a_row_leads_to_the_same_face(name):
    face, row = JOURNEYS[name].face(), JOURNEYS[name]
    assert {"SETUPS", "Config", *FUNCTIONS} <= set(face.__all__)
    assert all(callable(getattr(face, name)) for name in FUNCTIONS)
    assert all(isinstance(config, face.Config) for config in face.SETUPS.values())
    assert row.setup in face.SETUPS
    for function in (face.train, face.evaluate, face.restore):
        assert "machine" in inspect.signature(function).parameters


@each
def test_its_command_is_a_few_lines(name):
    lines = (ROOT / "experiments" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 24
    assert lines[-1] == f'    commands.run("{name}")'


def test_the_rows_are_cheap():
    program = "import sys, gpsattn_jax.systems; print('jax' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout.split() == ["False"], result.stderr


@pytest.mark.parametrize(
    ("flag", "mode", "message"),
    [
        ("fuse", "train", "--fuse is for --mode=evaluate."),
        ("clip", "report", "--clip is for --mode=predict."),
        ("seeds", "evaluate", "--seeds is for --mode=train; name a run's workdir."),
        ("output", "train", "--output is for --mode=predict, report and export."),
        ("log_to", "predict", "--log_to is for --mode=train and report."),
        ("ema", "evaluate", "--ema is for --mode=predict, report and export."),
        ("persons", "predict", "--persons is for --mode=export."),
        ("window", "report", "--window is for --mode=evaluate and predict."),
    ],
)
def test_flags_of_other_modes_are_refused(flag, mode, message):
    with pytest.raises(ValueError) as error:
        refuse_other_modes(["mode", flag], mode)
    assert str(error.value) == message
    refuse_other_modes(["mode", flag], mode, allowed=[flag])


def test_flags_of_the_mode_are_taken():
    for mode in MODES:
        refuse_other_modes(["workdir", "mode", "data_dir"], mode)
    refuse_other_modes(["output", "ema", "platforms"], "export")


def test_folders_of_a_grid_are_those_of_its_axes():
    config = SYSTEMS["gpsnet"].face().SETUPS["utkinect"]
    runs = grids.grid(config, {"split": [1, 2], "seed": [7], "stream": ["bone"]})
    assert [str(path) for path in runs] == [
        "split-1/seed-7/bone",
        "split-2/seed-7/bone",
    ]
    second = list(runs.values())[1]
    assert (second.data.split, second.train.seed) == (2, 7)
    assert second.model.stream == "bone"


def test_runs_come_in_the_order_of_their_numbers(tmp_path):
    assert grids.run_folders(tmp_path) == [tmp_path]
    names = ["seed-2", "seed-10", "split-0/seed-1/joint", "split-0/seed-12345"]
    for name in names:
        (tmp_path / name / "checkpoints").mkdir(parents=True)
    found = [str(path.relative_to(tmp_path)) for path in grids.run_folders(tmp_path)]
    assert sorted(found) == sorted(names)
    assert found.index("seed-2") < found.index("seed-10")
