"""What docs/scaling.md says to start a cluster with: read, run as far as it goes."""

import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys

import pytest

from tests.processes import hurried_environment

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "docs/scaling.md").read_text()
SHELL = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
(YAML,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
SBATCH, MPIRUN_4, MPIRUN_5, TPU_POD = SHELL
SCRIPT = "experiments/transxnet.py"
TINY = (
    "experiments/gsanet.py --setup=digits --workdir=WORKDIR --model.layers=1 "
    "--model.widths=8 --model.mixers=gsa --train.batch_size=8 --train.num_steps=6 "
    "--train.evaluate_every=6 --train.log_every=1 --nobaselines"
)
# What `srun` or `mpirun` does, here: the command twice, with the launcher's variables.
LAUNCHER = """
import os, subprocess, sys
command = sys.argv[1:]
while command[0] != "python" and command[0] != "sh":  # the launcher's own flags
    command = command[1:]
known = [{variables} for number in (0, 1)]
started = [
    subprocess.Popen(command, env=os.environ | one) for one in known
]
sys.exit(max(process.wait() for process in started))
"""
SLURM = """{
    "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2",
    "SLURM_PROCID": str(number), "SLURM_LOCALID": str(number),
}"""
OPEN_MPI = """{
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": str(number),
    "OMPI_COMM_WORLD_LOCAL_RANK": str(number),
}"""


def container_command():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    service, job = yaml.safe_load_all(YAML)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return service, job, [*container["command"], *container["args"]]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def shortened(text, workdir):
    """The example's command on a tiny network, in one place."""
    port = free_port()
    text = re.sub(
        rf"{SCRIPT}[^'\n]*?(?=--distributed)",
        TINY.replace("WORKDIR", str(workdir)) + " ",
        text,
    )
    assert TINY[:20] in text
    return re.sub(r"[\w.-]+:12399", f"localhost:{port}", text), port


@pytest.fixture
def environment(tmp_path):
    """Of a machine on which `python` is this one, and launchers are what we make."""
    folder = tmp_path / "bin"
    folder.mkdir()
    python = folder / "python"  # a link would lose the virtual environment
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return {
        **os.environ,
        **hurried_environment(),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_COORDINATOR_PORT": str(free_port()),
    } | {"bin": str(folder)}


def make_launcher(environment, name, variables):
    path = pathlib.Path(environment["bin"]) / name
    body = LAUNCHER.replace("{variables}", variables)
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)


def run_shell(text, environment, timeout=600):
    found = subprocess.run(
        ["bash", "-c", text], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=timeout,
    )  # fmt: skip
    return found.returncode, found.stdout + found.stderr


@pytest.mark.parametrize("text", SHELL, ids=["sbatch", "mpirun 4", "mpirun 5", "pod"])
def test_shells_read_them(text):
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_every_flag_exists():
    """Flags of our command, in all of them; the launchers' own are not ours."""
    said = subprocess.run(
        [sys.executable, SCRIPT, "--helpfull"], cwd=ROOT, text=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip
    known = set(re.findall(r"^\s*--(?:\[no\])?([\w.]+)", said, re.MULTILINE))
    assert {"setup", "workdir", "distributed"} <= known
    commands = re.findall(rf"{SCRIPT}[^']*?(?:\n\n|\n```|'|$|\n\s+env:)", TEXT)
    commands = [c for c in commands if "--setup" in c]
    assert len(commands) == 5
    for command in commands:
        flags = re.findall(r"--([\w.]+)", command)
        assert len(flags) >= 4 and set(flags) <= known, command


def test_the_job_is_one_that_kubernetes_takes():
    service, job, command = container_command()
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    assert service["spec"]["clusterIP"] == "None"
    name, spec = job["metadata"]["name"], job["spec"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 2
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert f"--coordinator={name}-0.{name}:12399" in command[-1]
    assert f"--num_processes={spec['parallelism']}" in command[-1]
    assert "\n" not in command[-1]


def test_the_sbatch_file_asks_for_what_its_step_uses():
    asked = dict(re.findall(r"#SBATCH --([\w-]+)=(\S+)", SBATCH))
    assert asked["ntasks-per-node"] == asked["gpus-per-node"]  # JAX: one for each
    assert asked["signal"].startswith("TERM@")  # the step's processes, not the shell


@pytest.mark.slow
def test_the_sbatch_file_runs(environment, tmp_path):
    make_launcher(environment, "srun", SLURM)
    text, _ = shortened(SBATCH, tmp_path / "run")
    code, said = run_shell(text, environment | {"SLURM_JOB_ID": "4097"})
    assert code == 0, said
    assert "distributed=auto: Slurm, process 0 of 2: 2 processes of 1 devices" in said
    assert (tmp_path / "run" / "checkpoints" / "6").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("line", [MPIRUN_4, MPIRUN_5], ids=["4", "5"])
def test_the_lines_of_mpirun_run(environment, tmp_path, line):
    make_launcher(environment, "mpirun", OPEN_MPI)
    text, _ = shortened(line, tmp_path / "run")
    code, said = run_shell(text, environment)
    assert code == 0, said
    assert ("distributed=auto: Open MPI, process 0 of 2" in said) == (line is MPIRUN_4)
    assert (tmp_path / "run" / "checkpoints" / "6").is_dir()


@pytest.mark.slow
def test_the_containers_command_runs(environment, tmp_path):
    *_, command = container_command()
    text, port = shortened(command[-1], tmp_path / "run")
    run = shlex.join([*command[:-1], text])
    both = "\n".join(f"JOB_COMPLETION_INDEX={n} {run} &" for n in (0, 1))
    address = {"JAX_COORDINATOR_BIND_ADDRESS": f"[::]:{port}"}
    code, said = run_shell(f"{both}\nwait -n && wait -n", environment | address)
    assert code == 0, said
    assert "step 6/6" in said
    assert (tmp_path / "run" / "checkpoints" / "6").is_dir()
