"""Devices by name: slices of TPU chips that need not be there, pretended CPUs."""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import math
import os
import re
import sys
import time
from typing import Any

import jax
from jax.experimental import topologies

from gpsattn_jax.systems.planning.chips import CHIPS, Chip

# libtpu would ask a cloud machine's metadata server who it is; nobody answers here.
ABSENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",  # else it complains; slices go by name
}
PAUSE = 2.0  # seconds between two looks at the lock
KNOWN = "cpu:8; v5e:2x2, v5e:4x4, v6e:8x8, v4:2x2x4, v5p:4x4x4 and others of their kind"


@dataclasses.dataclass(frozen=True)
class Topology:
    """Devices to compile for.

    Attributes:
        name: as `open_topology` takes it.
        devices: to make a mesh of.
        chip: what a device is, or a part of it; None for CPUs.
        share: of a chip that a device is: a v4 chip is two devices here.
        compiler: whose program it is, with its version.
    """

    name: str
    devices: tuple[Any, ...]
    chip: Chip | None
    share: float
    compiler: str


def open_topology(name: str, patience: float = 600.0) -> Topology:
    """The devices of a name; JAX itself stays on this machine's CPU.

    Args:
        name: "cpu:8" for pretended CPU devices; a TPU's kind and its slice's sides for
            chips, "v5e:4x4".
        patience: seconds to wait for the lock that libtpu holds machine-wide.

    Raises:
        ValueError: if there is no such topology.
        ImportError: if libtpu is not installed.
        BlockingIOError: if another process holds its lock for longer.
    """
    kind, _, sides = name.partition(":")
    if kind == "cpu" and re.fullmatch(r"[1-9]\d*", sides):
        return _pretended(name, int(sides))
    if kind not in CHIPS or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", sides):
        raise ValueError(f"topology must be one of {KNOWN}; got {name!r}.")
    return _absent(name, kind, math.prod(map(int, sides.split("x"))), patience)


def stay_on_cpu() -> None:
    """Keeps JAX off accelerators that are there: a plan computes nothing."""
    jax.config.update("jax_platforms", "cpu")


def _pretended(name, count):
    """So many CPU devices; JAX makes them when it starts, and not later."""
    stay_on_cpu()
    with contextlib.suppress(RuntimeError):  # it has started: there may be enough
        jax.config.update("jax_num_cpu_devices", count)
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise ValueError(
            f"topology={name} must be opened before JAX starts, or with XLA_FLAGS="
            f"--xla_force_host_platform_device_count={count}; JAX has {len(devices)}."
        )
    version = f"jaxlib {importlib.metadata.version('jaxlib')}"
    return Topology(name, tuple(devices[:count]), None, 1.0, version)


def _absent(name, kind, chips, patience):
    """Chips that are not here, from libtpu."""
    if importlib.util.find_spec("libtpu") is None:
        raise ImportError(
            f"topology={name} needs libtpu: pip install 'gpsattn-jax[tpu]'; "
            "topology=cpu:8 does without."
        )
    stay_on_cpu()
    for variable, value in ABSENT.items():
        os.environ.setdefault(variable, value)
    try:
        found = _wait_for_lock(name, patience)
    except jax.errors.JaxRuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"topology must be one of {KNOWN}; got {name!r}: {reason}"
        ) from None
    version = f"libtpu {importlib.metadata.version('libtpu')}"
    share = chips / len(found.devices)
    return Topology(name, tuple(found.devices), CHIPS[kind], share, version)


def _wait_for_lock(name, patience):
    """Asks libtpu until no other process holds its machine-wide lock."""
    start, waits = time.monotonic(), False
    while True:
        try:
            return topologies.get_topology_desc(platform="tpu", topology_name=name)
        except jax.errors.JaxRuntimeError as error:
            if "lockfile" not in str(error):
                raise
        if time.monotonic() - start >= patience:
            raise BlockingIOError(
                f"topology={name}: another process has held libtpu's lock "
                f"(/tmp/libtpu_lockfile) for {patience:.0f} s, --lock_timeout; wait "
                "for it, or end it."
            )
        if not waits:
            print(
                "Waiting for libtpu's lock (/tmp/libtpu_lockfile): another process of "
                f"this machine has it; up to {patience:.0f} s, --lock_timeout.",
                file=sys.stderr,
            )
        waits = True
        time.sleep(PAUSE)
