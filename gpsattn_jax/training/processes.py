"""Processes of one run: how they meet, and how their programs keep to one order."""

import functools
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.launchers import find_launcher


def join(machine: Machine) -> None:
    """Meets the other processes, if the machine's flags say that there are any.

    Raises:
        OSError: if they cannot be found.
    """
    if machine.distributed == "off" or jax.distributed.is_initialized():
        return
    named: dict[str, Any] = {}
    started_by = ""
    if machine.distributed == "auto":
        started_by = f" {find_launcher()}:"
    if machine.distributed == "manual":
        named = {
            "coordinator_address": machine.coordinator,
            "num_processes": machine.num_processes,
            "process_id": machine.process_id,
            # JAX by itself listens on every interface of the machine.
            "coordinator_bind_address": os.environ.get(
                "JAX_COORDINATOR_BIND_ADDRESS", machine.coordinator
            ),
        }
    try:
        jax.distributed.initialize(
            **named,
            initialization_timeout=machine.meeting_timeout,
            heartbeat_timeout_seconds=machine.heartbeat_timeout,
        )
    except (ValueError, RuntimeError) as error:
        raise OSError(
            f"distributed={machine.distributed}:{started_by} the processes did not "
            f"meet: {' '.join(str(error).split())}"
        ) from error
    if started_by and jax.process_index() == 0:
        print(
            f"distributed=auto:{started_by} {jax.process_count()} processes of "
            f"{jax.local_device_count()} devices met.",
            file=sys.stderr,
        )


@functools.cache
def introduce(mesh: Mesh) -> None:
    """Lets the processes of CPUs compute together once, while none is behind.

    When devices do so for the first time, JAX lets them wait 30 s for each other. Later
    one process may compile for minutes what another one has found in its cache.
    """
    if jax.process_count() == 1 or jax.default_backend() != "cpu":
        return
    names = mesh.axis_names
    array = jax.make_array_from_callback(
        tuple(mesh.shape.values()),
        NamedSharding(mesh, P(*names)),
        lambda _: np.ones((1,) * len(names), np.float32),
    )
    # In the same order everywhere: of a set it would be another one in each process.
    for axes in dict.fromkeys([names, *((name,) for name in names)]):
        rest = P(*(name for name in names if name not in axes))
        places = tuple(map(names.index, axes))
        total = jax.jit(
            functools.partial(jnp.sum, axis=places),
            out_shardings=NamedSharding(mesh, rest),
        )
        jax.block_until_ready(total(array))
    multihost_utils.process_allgather(np.zeros(()))


def in_turn(tree: Any) -> Any:
    """The same arrays, which are ready where programs might overtake each other.

    On CPUs, programs that do not wait for each other's arrays start in any order. Where
    both talk to other processes, two processes may each wait in another one, for good:
    a step in one, the question whether to stop in the other.
    """
    if jax.process_count() > 1 and jax.default_backend() == "cpu":
        return jax.block_until_ready(tree)
    return tree
