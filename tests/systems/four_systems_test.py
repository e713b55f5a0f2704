"""All four systems in two processes of two devices: as one process trains them."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("h5py", reason="needs h5py (extra: data)")
pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")

from gpsattn_jax.systems import SYSTEMS
from gpsattn_jax.training.logs import read_metrics
from tests.processes import hurried_environment
from tests.systems.four_systems import make_data, weights

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(__file__).with_name("four_systems.py")
CLOSE = 1e-5  # of an array's largest value, or of 1
EXAMPLES = {"gpsnet": 12, "gsanet": 450, "pglsum": 3, "transxnet": 450}

pytestmark = pytest.mark.slow


def start(data, *jobs, devices=1, **flags):
    environment = {
        **os.environ,
        **hurried_environment(),
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    given = [f"--{name}={value}" for name, value in flags.items()]
    number = flags.get("process_id", 0)
    # A file, since a pipe that nobody reads yet would stop a process when it is full.
    with (data / f"said-{number}.txt").open("w") as said:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), str(data), *jobs, *given],
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def run_all(data, *jobs, processes=1, devices=1):
    """What each of some processes found in its evaluations."""
    together = {}
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        together = {"coordinator": address, "num_processes": processes}
    started = [
        start(data, *jobs, devices=devices, process_id=number, **together)
        for number in range(processes)
    ]
    for process in started:
        process.wait(timeout=1800)
    texts = [(data / f"said-{number}.txt").read_text() for number in range(processes)]
    for process, text in zip(started, texts, strict=True):
        assert process.returncode == 0, text[-4000:]
    paths = [data / f"found-{number}.json" for number in range(processes)]
    return [json.loads(path.read_text()) for path in paths]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(the folder of runs, evaluations of `one` by one process, by the two).

    Five steps by one process, by two, by one after two did three, and the other way.
    """
    folder = tmp_path_factory.mktemp("four")
    make_data(folder)
    jobs = [f"train:{folder}/one:5", f"train:{folder}/one-two:3"]
    (alone,) = run_all(folder, *jobs, f"evaluate:{folder}/one")
    jobs = [
        f"train:{folder}/two:5",
        f"train:{folder}/two-one:3",
        f"extend:{folder}/one-two:5",
        f"evaluate:{folder}/one",
    ]
    both = run_all(folder, *jobs, processes=2, devices=2)
    run_all(folder, f"extend:{folder}/two-one:5")
    return folder, alone, both


def difference(left, right):
    """The largest one of all arrays, in shares of an array's largest value or of 1."""
    assert left.keys() == right.keys() and left
    return max(
        float(
            np.abs(left[name] - right[name]).max() / max(1, np.abs(right[name]).max())
        )
        for name in left
    )


@pytest.mark.parametrize("trained", ["two", "one-two", "two-one"])
def test_five_steps_are_those_of_one_process(runs, trained):
    folder, *_ = runs
    wanted, found = weights(folder / "one"), weights(folder / trained)
    for name in SYSTEMS:
        assert difference(found[name], wanted[name]) <= CLOSE, name
        # Something was learnt, and all steps are in the log, once.
        lines = read_metrics(folder / trained / name)
        assert [n["step"] for n in lines if "loss" in n] == [1, 2, 3, 4, 5], name
        assert lines[4]["loss"] != lines[0]["loss"]
        plain = [n["loss"] for n in read_metrics(folder / "one" / name) if "loss" in n]
        losses = [n["loss"] for n in lines if "loss" in n]
        np.testing.assert_allclose(losses, plain, rtol=CLOSE)


def check_counts(found, wanted):
    for name, count in EXAMPLES.items():
        assert found[name]["examples"] == wanted[name]["examples"] == count, name
        np.testing.assert_allclose(
            found[name]["scores"], wanted[name]["scores"], atol=CLOSE, err_msg=name
        )


def test_each_of_two_processes_scores_every_example_once(runs):
    """450 pictures, 12 clips and 3 videos over four devices."""
    _, alone, both = runs
    for found in both:
        check_counts(found, alone)


def test_each_of_three_processes_scores_every_example_once(runs):
    folder, alone, _ = runs
    for found in run_all(folder, f"evaluate:{folder}/one", processes=3):
        check_counts(found, alone)
