"""Ctrl-C in the long works of a command: one line, exit status 130, no traceback."""

import pathlib
import signal
import time

import pytest

from tests.processes import start, wait_for

ROOT = pathlib.Path(__file__).parents[1]
PROGRAM = """
import sys, time
import numpy as np
from absl import flags
from gpsattn_jax import config_flags
from gpsattn_jax.data.threads import in_threads
from gpsattn_jax.progress import with_progress

def in_python():
    for _ in with_progress(iter(int, 1), 10**9, "Counting"):
        time.sleep(0.001)

def threads():
    list(in_threads(lambda place: time.sleep(0.05), range(10**5), 2))

def native():
    matrix = np.sin(np.arange(16e6)).reshape(4000, 4000)
    print("computing", flush=True)
    np.linalg.eig(matrix)

def main(_):
    print("begun", flush=True)
    {work}()

config_flags.run(main)
"""


def end(process, *, presses=2, apart=0.02):
    """Presses Ctrl-C and returns what was still said."""
    for press in range(presses):
        time.sleep(apart if press else 0)
        process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 130, text
    return text.strip().splitlines()


@pytest.mark.parametrize("work", ["in_python", "threads"])
@pytest.mark.parametrize("presses", [1, 2])
def test_work_ends_in_a_line(work, presses):
    process = start("-c", PROGRAM.format(work=work))
    wait_for(process, "begun")
    assert end(process, presses=presses) == ["Interrupted."]


def test_native_code_is_left_at_the_second_press_only():
    process = start("-c", PROGRAM.format(work="native"))
    wait_for(process, "computing")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    time.sleep(2.5)
    assert process.poll() is None  # both were one, and native code goes on
    began = time.monotonic()
    assert end(process, presses=1) == ["Interrupted."]
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_evaluation_and_prediction_end_in_a_line(tmp_path):
    image_library = pytest.importorskip("PIL.Image", reason="needs Pillow")
    pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
    run, pictures = tmp_path / "run", tmp_path / "pictures"
    script = "experiments/gsanet.py"
    tiny = "--model.layers=1", "--model.widths=8", "--model.mixers=gsa"
    steps = "--train.num_steps=2", "--train.warmup_steps=0"
    text, _ = (process := start(script, *tiny, *steps, f"--workdir={run}")).communicate(
        timeout=600
    )
    assert process.returncode == 0, text
    process = start(script, "--mode=evaluate", f"--workdir={run}")
    wait_for(process, "Baselines: ")
    assert end(process)[-1:] == ["Interrupted."]
    assert not (run / "baselines.json").exists()
    pictures.mkdir()
    # Large to decode, and small on disk.
    image_library.new("L", (2000, 2000)).save(pictures / "0.png")
    content = (pictures / "0.png").read_bytes()
    for number in range(1, 3000):
        (pictures / f"{number}.png").write_bytes(content)
    process = start(
        script, "--mode=predict", f"--workdir={run}", f"--images={pictures}",
        f"--output={tmp_path / 'out.csv'}",
    )  # fmt: skip
    wait_for(process, ".png: ")  # the first rows
    said = end(process)
    assert said[-1] == "Interrupted." and len(said) < 2999
    assert not any("Traceback" in line for line in said)
