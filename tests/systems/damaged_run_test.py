"""A damaged run, from the command: one line that names the file, and the way on."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from gpsattn_jax.systems import gsanet
from gpsattn_jax.training import Machine
from gpsattn_jax.training.checksums import write_checksums
from tests.digits_run import SMALL

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained")
    gsanet.train(SMALL, path)
    return path


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of which the newest step's weights are cut."""
    path = shutil.copytree(trained, tmp_path / "run")
    file = path / "checkpoints" / "4" / "params" / "_METADATA"
    file.write_bytes(file.read_bytes()[:100])
    return path


def command(workdir, *arguments):
    line = [sys.executable, "experiments/gsanet.py", f"--workdir={workdir}", *arguments]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_command_names_the_file_and_the_flag_in_one_line(workdir):
    code, _, told = command(workdir, "--mode=evaluate")
    line = told.strip().splitlines()[-1]
    file = workdir / "checkpoints" / "4" / "params" / "_METADATA"
    assert code == 1 and line.startswith(f"Error: {file} must have ")
    assert line.endswith(
        "--checkpoint=whole takes step 2, the newest that is whole; --resume=2 trains "
        "on from it."
    )
    assert "Traceback" not in told
    code, out, told = command(workdir, "--mode=evaluate", "--checkpoint=whole")
    assert code == 0 and "Step 4 is damaged: " in told and "step 2 is taken" in told
    assert "accuracy" in out


def test_every_way_to_open_a_run_is_checked(workdir, trained, tmp_path):
    for open_it in (
        lambda: gsanet.restore(workdir),
        lambda: gsanet.evaluate(workdir),
        lambda: gsanet.report(workdir, tmp_path / "report"),
        lambda: gsanet.export(workdir, tmp_path / "out.stablehlo"),
        lambda: gsanet.train(SMALL, workdir),
        lambda: gsanet.train(
            dataclasses.replace(SMALL, init_from=str(workdir)), tmp_path / "tuned"
        ),
    ):
        with pytest.raises(ValueError, match="params/_METADATA must have"):
            open_it()
    found = gsanet.restore(workdir, "whole")
    assert found.step == 2
    machine = Machine(whole=True)
    gsanet.train(SMALL, workdir, machine=machine)
    ends = (gsanet.restore(path) for path in (workdir, trained))
    weights = (jax.device_get(end.params) for end in ends)
    jax.tree.map(np.testing.assert_array_equal, *weights)
    assert (workdir / "checkpoints-damaged" / "4").is_dir()


def test_training_takes_whole_and_no_other_checkpoint():
    from gpsattn_jax.systems.command_line import refuse_other_modes

    message = "--checkpoint is for --mode=evaluate, predict, report and export"
    with pytest.raises(ValueError, match=message):
        refuse_other_modes(["checkpoint"], "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": []}, "model must hold fields; got a list"),
        ({"augment": []}, "augment must hold fields; got a list"),
        ({"class_names": 3}, "class_names: TypeError"),
        (
            {"train": {"keep_latest": [1, 2]}},
            "train.keep_latest must be a whole number",
        ),
        ({"model": {"layers": [10**300]}}, "model.layers must be at most 10,000,000"),
        ({"model": {"num_classes": 10**300}}, "model.num_classes must be at most"),
        ({"nonsense": 1}, "has no field nonsense"),
    ],
)
def test_settings_that_are_no_runs_are_named(trained, tmp_path, change, message):
    """Changed by hand, since damage is found by its checksum."""
    path = shutil.copytree(trained, tmp_path / "run") / "checkpoints" / "4"
    file = path / "metadata" / "metadata"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    write_checksums(path)
    with pytest.raises(ValueError, match=message) as error:
        gsanet.restore(tmp_path / "run")
    assert str(error.value).startswith(f"{file}: not a readable record")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_settings_that_once_raised_other_errors(trained, tmp_path, cases):
    path = shutil.copytree(trained, tmp_path / "run") / "checkpoints" / "4"
    files = sorted((cases / "attacks").glob("run_meta-*.json"))
    assert files
    for case in files:
        shutil.copy(case, path / "metadata" / "metadata")
        write_checksums(path)
        with pytest.raises(ValueError, match="checkpoints/4") as error:
            gsanet.restore(tmp_path / "run")
        assert "\n" not in str(error.value), case
