"""The scripts as a user runs them: wrong flags, Ctrl-C, kill, resume, the demo."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.systems import gsanet
from tests.scripts import run_script

ROOT = pathlib.Path(__file__).parents[1]
SMALL = (
    "--model.layers=1",
    "--model.widths=8",
    "--model.mixers=gsa",
    "--train.evaluate_every=10",
    "--train.log_every=5",
)


def start(*arguments, script="gsanet", **options):
    command = [sys.executable, f"experiments/{script}.py", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
        **options,
    )


def finish(*arguments, **options):
    process = start(*arguments, **options)
    text, _ = process.communicate(timeout=900)
    return process.returncode, text


def wait_for(process, text):
    """Reads lines until one has the text."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} never came.")


def test_mistyped_flag_is_answered_in_a_line():
    code, text = finish("--workdir=x", "--train.learning_rat=1")
    assert code == 1 and "Did you mean: train.learning_rate" in text
    assert "Traceback" not in text


def test_missing_run_is_answered_in_a_line(tmp_path):
    code, text = finish("--mode=evaluate", f"--workdir={tmp_path}")
    assert code == 1 and "no checkpoints; train into" in text
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("hurried_processes")
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path):
    command = (*SMALL, "--train.num_steps=100000", f"--workdir={tmp_path}")
    process = start(*command)
    wait_for(process, "step 10/")
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Stopped after step" in text and "Traceback" not in text
    stopped = int(text.split("Stopped after step ")[1].split(";")[0])
    process = start(*command)
    wait_for(process, f"Going on from step {stopped}")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.usefixtures("hurried_processes")
def test_killed_runs_end_like_an_undisturbed_one(tmp_path):
    """Kills at several moments, some of them inside a save."""
    command = (*SMALL, "--train.num_steps=200")
    code, _ = finish(*command, f"--workdir={tmp_path / 'straight'}")
    assert code == 0
    killed = tmp_path / "killed"
    for kills in range(3):
        process = start(*command, f"--workdir={killed}")
        wait_for(process, "evaluation:")
        if kills < 2:  # inside a save
            while not list((killed / "checkpoints").glob("*tmp*")):
                time.sleep(0.001)
        process.kill()
        process.communicate()
    code, text = finish(*command, f"--workdir={killed}")
    assert code == 0
    straight, killed = weights(tmp_path / "straight"), weights(killed)
    assert straight.keys() == killed.keys()
    for name, array in straight.items():
        np.testing.assert_array_equal(array, killed[name], err_msg=name)


def weights(workdir):
    """Parameters and batch statistics of the last checkpoint, by path."""
    classifier = gsanet.restore(workdir)
    assert classifier.step == 200
    return flatten({"params": classifier.params, "state": classifier.state})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--setup=digit", "--workdir=x"], "value should be one of <cifar100|"),
        (["--setup=digits"], "--workdir is missing: The folder of checkpoints"),
        (["--workdir=x", "more"], "Not a flag: more"),
        (
            ["--workdir=x", "--train.seed=1", "--mode=evaluate"],
            "--train.seed: the check",
        ),
    ],
)
def test_refused_flags_are_answered_in_a_line(arguments, message):
    code, _, err = run_script("gsanet", *arguments)
    assert code == 1 and message in err


@pytest.mark.slow
@pytest.mark.newest
def test_training_and_evaluation_under_flax_s_coming_default(tmp_path, monkeypatch):
    for name in ("NNX_GRAPH_MODE", "NNX_GRAPH_UPDATES"):
        monkeypatch.setenv(name, "false")
    command = (*SMALL, "--train.num_steps=2", f"--workdir={tmp_path}")
    assert finish(*command)[0] == 0
    code, text = finish("--mode=evaluate", f"--workdir={tmp_path}")
    assert code == 0 and "GSA-Net (ours)" in text


@pytest.mark.slow
def test_demo_beats_its_baselines_and_writes_a_report(tmp_path):
    for name in ("sklearn", "matplotlib"):
        pytest.importorskip(name, reason=f"needs {name} (extras: data, plot)")
    code, text = finish(f"--workdir={tmp_path}", script="demo")
    assert code == 0, text
    scores = json.loads((tmp_path / "report" / "scores.json").read_text())
    ours = scores["accuracy"].pop("GSA-Net (ours)")
    assert ours >= 0.985
    assert ours >= max(scores["accuracy"].values())
    assert (tmp_path / "report" / "index.html").exists()
