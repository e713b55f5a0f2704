"""Sharding: eight pretended devices, two processes, checkpoints between meshes."""

import os
import pathlib
import socket
import subprocess
import sys

import pytest

from tests.processes import hurried_environment

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(__file__).with_name("sharded_run.py")

# Of float32, after four steps, in shares of each array's largest value. Sums over other
# numbers of devices round differently: in float64 the same steps differ by 1.5e-14, 70
# times that format's epsilon (`test_sharded_steps_agree_in_float64`), and in float32 by
# 1.1e-5, 90 times. The worst is a scale that began at 0 and is 2e-4 by then; another
# processor has other last digits.
ROUNDING = 400 * 2.0**-23  # 4.8e-5


def start(job, workdir, *arguments, devices):
    """A process of its own, since JAX counts its devices once."""
    environment = {
        **os.environ,
        **hurried_environment(),
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(PROGRAM), job, str(workdir), *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    text, _ = process.communicate(timeout=400)
    assert process.returncode == 0, text[-4000:]
    return text


@pytest.mark.slow
def test_sharded_steps_are_the_plain_step(tmp_path):
    """Data, data x model and FSDP meshes against one device, at 1e-5."""
    text = finish(start("compare", tmp_path, devices=8))
    assert text.count("agrees") == 3, text


@pytest.mark.slow
def test_sharded_steps_agree_in_float64(tmp_path):
    """What is left of a difference where rounding is 5e8 times finer."""
    text = finish(start("exact", tmp_path, devices=4))
    assert float(text.split()[-1]) < 400 * 2.0**-52


@pytest.mark.slow
def test_a_checkpoint_restores_on_another_mesh(tmp_path):
    finish(start("train", tmp_path, "--mesh=data:4,model:2", "--steps=2", devices=8))
    text = finish(start("train", tmp_path, "--mesh=data:2", "--steps=4", devices=2))
    assert "Going on from step 2" in text
    plain = tmp_path / "plain"
    finish(start("train", plain, "--steps=4", devices=1))
    text = finish(start("difference", tmp_path, str(plain), devices=1))
    assert float(text.split()[-1]) < ROUNDING


@pytest.mark.slow
def test_two_processes_train_what_one_restores(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [
        start(
            "train",
            tmp_path / "both",
            "--steps=4",
            f"--coordinator={coordinator}",
            f"--process_id={number}",
            devices=2,
        )
        for number in (0, 1)
    ]
    texts = [finish(process) for process in processes]
    # Each made its own half of the batches, and all 11 examples were counted once.
    for number, text in enumerate(texts):
        assert f"rows {4 * number}:{4 * number + 4} of 8" in text
        assert "examples scored 11" in text
        assert ("evaluation:" in text) == (number == 0)
    plain = tmp_path / "plain"
    finish(start("train", plain, "--steps=4", devices=1))
    text = finish(start("difference", tmp_path / "both", str(plain), devices=1))
    assert float(text.split()[-1]) < ROUNDING
    lines = (tmp_path / "both" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == len((plain / "metrics.jsonl").read_text().splitlines())
