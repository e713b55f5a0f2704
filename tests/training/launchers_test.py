"""Launchers of several processes: what JAX would find, and what is said of it."""

import os

import pytest

from gpsattn_jax.training import launchers
from gpsattn_jax.training.launchers import LAUNCHERS, find_launcher

OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
SLURM = {
    "SLURM_JOB_ID": "4097",
    "SLURM_STEP_NODELIST": "localhost",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "3",
}
GKE = {"TPU_WORKER_HOSTNAMES": "a,b", "TPU_WORKER_ID": "1"}
KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}


@pytest.fixture(autouse=True)
def without_tpus(monkeypatch):
    monkeypatch.setattr(launchers, "TPU_DEVICES", ("/nowhere",))
    monkeypatch.setattr(launchers.importlib.util, "find_spec", lambda name: name)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (OPEN_MPI, "Open MPI, process 1 of 2"),
        (SLURM, "Slurm, process 3 of 8"),
        (SLURM | OPEN_MPI, "Open MPI, process 1 of 2"),  # mpirun in a Slurm job
        (GKE, "Cloud TPU (GKE), process 1"),
        (GKE | KUBERNETES, "Cloud TPU (GKE), process 1"),
        (KUBERNETES, "Kubernetes, process 0"),
    ],
)
def test_a_launcher_is_found(known, said):
    assert find_launcher({"PATH": "/bin"} | known) == said


def test_a_tpu_machine_is_known_by_its_devices(monkeypatch, tmp_path):
    monkeypatch.setattr(launchers, "TPU_DEVICES", (str(tmp_path),))
    assert find_launcher({}).startswith("Cloud TPU")


@pytest.mark.parametrize(
    ("known", "gone", "message"),
    [
        (SLURM, "SLURM_STEP_NODELIST", "Slurm .*STEP_NODELIST is not; start .* srun"),
        (OPEN_MPI, "OMPI_MCA_orte_hnp_uri", "Open MPI 5 .* --distributed=manual"),
        (KUBERNETES, "JOB_COMPLETION_INDEX", "completionMode"),
        (GKE, "TPU_WORKER_ID", "TPU_WORKER_ID is not"),
    ],
)
def test_one_that_says_too_little_is_told_with_the_way_out(known, gone, message):
    known = {name: value for name, value in known.items() if name != gone}
    with pytest.raises(OSError, match=message) as error:
        find_launcher(known)
    assert "\n" not in str(error.value)


def test_a_package_that_jax_needs_is_named(monkeypatch):
    monkeypatch.setattr(launchers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OSError, match=r"package kubernetes.* pip install 'jax\[k8s\]'"):
        find_launcher(KUBERNETES)
    assert find_launcher(SLURM)


def test_none_is_one_line():
    with pytest.raises(OSError, match="none of the launchers that JAX knows") as error:
        find_launcher({"PATH": "/bin"})
    assert "\n" not in str(error.value)
    for launcher in LAUNCHERS:
        assert launcher.name.split(" (")[0] in str(error.value)


@pytest.mark.parametrize("known", [OPEN_MPI, SLURM])
def test_jax_finds_the_same(known, monkeypatch):
    """The variables are JAX's: its own search says whether they are all."""
    clusters = pytest.importorskip("jax._src.clusters")
    for name in [*os.environ]:
        if name.startswith(("OMPI_", "SLURM_", "TPU_", "KUBERNETES_")):
            monkeypatch.delenv(name)
    kinds = {"Open MPI": clusters.OmpiCluster, "Slurm": clusters.SlurmCluster}
    (launcher,) = [one for one in LAUNCHERS if one.sign in known]
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    kind = kinds[launcher.name]
    assert kind.is_env_present()
    found = f"{launcher.name}, process {kind.get_process_id()}"
    assert f"{found} of {kind.get_process_count()}" == find_launcher()
