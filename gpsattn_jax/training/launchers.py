"""What started the processes of a run: known by the variables that it sets.

JAX looks for the same ones (`jax.distributed.initialize`), in this order, and says of
none what it found or missed.
"""

import dataclasses
import importlib.util
import os
from collections.abc import Mapping

TPU_DEVICES = ("/dev/accel0", "/dev/vfio/0")


@dataclasses.dataclass(frozen=True)
class Launcher:
    """How a launcher is known.

    Attributes:
        name: of it.
        sign: a variable that it sets, alone or with others.
        needs: the variables from which JAX reads who is who.
        count: the one of them that holds the number of processes, if any.
        number: the one that holds the number of this process.
        advice: where one that is needed is not set.
        package: that JAX imports to ask it.
    """

    name: str
    sign: str
    needs: tuple[str, ...]
    count: str
    number: str
    advice: str
    package: str = ""


LAUNCHERS = (
    Launcher(
        "Open MPI",
        "OMPI_COMM_WORLD_RANK",
        (
            "OMPI_MCA_orte_hnp_uri",
            "OMPI_COMM_WORLD_SIZE",
            "OMPI_COMM_WORLD_RANK",
            "OMPI_COMM_WORLD_LOCAL_RANK",
        ),
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "Open MPI 5 does not set it: give --distributed=manual --coordinator=HOST:PORT "
        "--num_processes=$OMPI_COMM_WORLD_SIZE --process_id=$OMPI_COMM_WORLD_RANK",
    ),
    Launcher(
        "Slurm",
        "SLURM_JOB_ID",
        (
            "SLURM_STEP_NODELIST",
            "SLURM_NTASKS",
            "SLURM_PROCID",
            "SLURM_LOCALID",
        ),
        "SLURM_NTASKS",
        "SLURM_PROCID",
        "start the command by srun",
    ),
    Launcher(
        "Cloud TPU (GKE)",
        "TPU_WORKER_HOSTNAMES",
        ("TPU_WORKER_ID",),
        "",
        "TPU_WORKER_ID",
        "the pod's template must ask for google.com/tpu",
    ),
    Launcher(
        "Kubernetes",
        "KUBERNETES_SERVICE_HOST",
        ("JOB_COMPLETION_INDEX",),
        "",
        "JOB_COMPLETION_INDEX",
        'the job must have completionMode: "Indexed"',
        package="kubernetes",
    ),
)
KNOWN = "Open MPI, Slurm, Cloud TPU, Kubernetes"


def find_launcher(environment: Mapping[str, str] | None = None) -> str:
    """The launcher that started this process, and which process it says this is.

    Args:
        environment: the process's variables.

    Raises:
        OSError: if there is none, or one that does not say all that JAX needs.
    """
    known = os.environ if environment is None else environment
    for launcher in LAUNCHERS:
        if launcher.sign in known:
            return _described(launcher, known)
    if any(map(os.path.exists, TPU_DEVICES)):
        return "Cloud TPU (its machine's own records)"
    raise OSError(
        f"distributed=auto: none of the launchers that JAX knows ({KNOWN}) has started "
        "this process. Leave the flag away for one process, or give "
        "--distributed=manual with --coordinator, --num_processes and --process_id."
    )


def _described(launcher, known):
    missing = [name for name in launcher.needs if name not in known]
    if missing:
        raise OSError(
            f"distributed=auto: {launcher.name} ({launcher.sign} is set), but "
            f"{' and '.join(missing)} is not; {launcher.advice}."
        )
    if launcher.package and importlib.util.find_spec(launcher.package) is None:
        raise OSError(
            f"distributed=auto: {launcher.name} ({launcher.sign} is set), but JAX asks "
            f"it by the package {launcher.package}, which is not installed: "
            "pip install 'jax[k8s]'."
        )
    of_all = f" of {known[launcher.count]}" if launcher.count else ""
    return f"{launcher.name}, process {known[launcher.number]}{of_all}"
