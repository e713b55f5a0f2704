"""Several processes: one that is lost, or never comes, ends the others in one line."""

import os
import pathlib
import re
import signal
import socket
import time

import pytest

from gpsattn_jax.systems.grids import latest_step
from gpsattn_jax.training import supervisor
from gpsattn_jax.training.config import Machine
from tests import processes
from tests.processes import hurried_environment, wait_for

ROOT = pathlib.Path(__file__).parents[2]
TINY = (
    "--model.layers=1",
    "--model.widths=8",
    "--model.mixers=gsa",
    "--train.batch_size=8",
    "--train.num_steps=100000",
    "--train.evaluate_every=10",
    "--train.log_every=5",
    "--nobaselines",
)
MACHINE = Machine(
    distributed="manual", coordinator="localhost:1", num_processes=3, process_id=1
)
SILENT = "unhealthy (stopped sending heartbeats):\n0\n2\nThe tasks have crashed."


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(workdir, port, number, *arguments):
    return processes.start(
        "experiments/gsanet.py",
        *TINY,
        f"--workdir={workdir}",
        "--distributed=manual",
        f"--coordinator=localhost:{port}",
        "--num_processes=2",
        f"--process_id={number}",
        "--heartbeat_timeout=6",
        *arguments,
        JAX_PLATFORMS="cpu",
        **hurried_environment(),
    )


def answers(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 0])
def test_a_lost_process_ends_the_other_in_one_line(tmp_path, lost):
    port = free_port()
    both = [start(tmp_path, port, number) for number in (0, 1)]
    wait_for(both[0], "step 20/")
    assert answers("127.0.0.1", port)
    # A server on every interface would answer here, too.
    assert not answers("127.0.0.2", port)
    both[lost].kill()
    began = time.monotonic()
    text, _ = both[1 - lost].communicate(timeout=120)
    assert time.monotonic() - began < 60
    both[lost].communicate(timeout=30)  # its worker is gone: the pipe has an end
    said = text[text.index("Error:") :].strip().splitlines()
    assert len(said) == 1, text
    step = latest_step(tmp_path)
    assert step % 10 == 0 and step > 0
    assert re.fullmatch(
        rf"Error: process {lost} of 2 was lost.*; the same command, on all of them, "
        rf"goes on from step {step}\.",
        said[0],
    )
    assert both[1 - lost].returncode == 1


@pytest.mark.slow
def test_a_lost_run_goes_on_and_ctrl_c_stops_both(tmp_path):
    port = free_port()
    both = [start(tmp_path, port, number) for number in (0, 1)]
    wait_for(both[0], "step 20/")
    both[1].kill()
    for process in both:
        process.communicate(timeout=120)
    step, port = latest_step(tmp_path), free_port()
    both = [start(tmp_path, port, number) for number in (0, 1)]
    wait_for(both[0], f"Going on from step {step} ")
    wait_for(both[0], "examples/s")
    both[1].send_signal(signal.SIGINT)
    texts = [process.communicate(timeout=120)[0] for process in both]
    stops = {re.search(r"Stopped after step (\d+)", text)[1] for text in texts}
    assert len(stops) == 1
    assert [process.returncode for process in both] == [130, 130]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_searched_for_together(tmp_path):
    port, flags = free_port(), ("--train.learning_rate=1e30", "--train.warmup_steps=0")
    both = [start(tmp_path, port, number, *flags) for number in (0, 1)]
    texts = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both] == [1, 1], texts
    errors = {text[text.index("Error: Not finite") :].strip() for text in texts}
    (error,) = errors
    assert re.search(
        r"Not finite at step \d+: .* Its batch: epoch 0, batch \d+.*8 of 1167 examples"
        r".* the first gradient that is not finite is that of \S+ \(\d+ of \d+ param",
        error,
        re.DOTALL,
    ), error


def launched(launcher, number):
    """The variables that a launcher sets for one of two processes."""
    if launcher == "Slurm":
        return {
            "SLURM_JOB_ID": "4097",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": f"{number}",
            "SLURM_LOCALID": f"{number}",
        }
    return {
        "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
        "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_COMM_WORLD_RANK": f"{number}",
        "OMPI_COMM_WORLD_LOCAL_RANK": f"{number}",
    }


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["Slurm", "Open MPI"])
def test_a_launcher_starts_two_processes_and_is_named(tmp_path, launcher):
    """What `srun` or `mpirun` would set is set by hand; JAX reads all else from it."""
    port = str(free_port())
    both = [
        processes.start(
            "experiments/gsanet.py",
            *TINY,
            f"--workdir={tmp_path}",
            "--distributed=auto",
            "--train.num_steps=10",
            JAX_PLATFORMS="cpu",
            JAX_NUM_CPU_DEVICES="2",
            JAX_COORDINATOR_PORT=port,
            **launched(launcher, number),
        )
        for number in (0, 1)
    ]
    texts = [process.communicate(timeout=600)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    line = f"distributed=auto: {launcher}, process 0 of 2: 2 processes of 2 devices met"
    assert line in texts[0] and "distributed=auto" not in texts[1]
    assert "step 10/10" in texts[0] and latest_step(tmp_path) == 10


def test_without_a_launcher_auto_is_refused_in_one_line(tmp_path):
    text, _ = processes.start(
        "experiments/gsanet.py", f"--workdir={tmp_path}", "--distributed=auto",
        JAX_PLATFORMS="cpu",
    ).communicate(timeout=300)  # fmt: skip
    assert text.count("\n") == 1
    assert text.startswith("Error: distributed=auto: none of the launchers that JAX")


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_never_comes_ends_the_other_in_one_line(tmp_path, number):
    began = time.monotonic()
    process = start(tmp_path, free_port(), number, "--meeting_timeout=5")
    text, _ = process.communicate(timeout=120)
    assert time.monotonic() - began < 100  # JAX by itself waits for 300 s
    assert process.returncode == 1
    assert len(text.strip().splitlines()) == 1
    assert re.search(rf"process {1 - number} (of 2 )?was not there at localhost", text)
    assert "within 5 s (--meeting_timeout)" in text and "from step 0." in text


@pytest.mark.parametrize(
    ("messages", "status", "line"),
    [
        (SILENT, -6, r"processes 0, 2 of 3 were lost .*30 s, --heartbeat_timeout"),
        (
            "/xla.coordination.CoordinationService/PollForError",
            -6,
            "process 0 of 3 was",
        ),
        ("", supervisor._LOST, "process 0 of 3 was lost"),
        ("", -9, r"this process was ended \(SIGKILL, as the system does"),
        ("F1128 06:54:39 file.cc:1] No memory.", -6, r"SIGABRT\): F1128.* No memory"),
    ],
)
def test_what_a_worker_left_is_read_as_one_line(messages, status, line):
    found, code = supervisor._verdict(messages, status, MACHINE)
    assert re.search(line, found) and "\n" not in found
    assert code == (1 if status != -9 and "F1128" not in messages else 128 - status)


def test_a_process_number_is_one_of_them():
    with pytest.raises(ValueError, match="must be less than num_processes=2"):
        Machine(distributed="manual", coordinator="a:1", num_processes=2, process_id=2)


def test_the_newest_step_is_of_the_run_saved_last(tmp_path):
    assert latest_step(tmp_path) == 0
    for place, name in enumerate(["seed-0/checkpoints/40", "seed-1/checkpoints/10"]):
        (tmp_path / name).mkdir(parents=True)
        os.utime(tmp_path / name, (place, place))
    (tmp_path / "seed-1/checkpoints/20.orbax-checkpoint-tmp").mkdir()
    assert latest_step(tmp_path) == 10
