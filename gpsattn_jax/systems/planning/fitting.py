"""What makes a run fit its devices: a smaller batch, remat, fsdp, in that order."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from gpsattn_jax.systems.planning.plan import Plan, make_plan
from gpsattn_jax.systems.planning.programs import Programs
from gpsattn_jax.systems.planning.topologies import Topology
from gpsattn_jax.training.config import Machine

Choice = tuple[Any, Machine, tuple[str, ...]]  # config, machine, flags that do it


def choices(config: Any, machine: Machine, what: str, least: int) -> Iterator[Choice]:
    """Other settings that need less memory, the ones to be tried first in front.

    Args:
        config: of the run.
        machine: mesh and rules.
        what: train, or evaluate, whose batches no setting decides.
        least: examples of which a batch must be a multiple.
    """
    training = what == "train"
    size = config.train.batch_size
    while training and size % (2 * least) == 0:
        size //= 2
        yield _with_batch(config, size), machine, (f"--train.batch_size={size}",)
    remat = _with_remat(config) if training else None
    if remat is not None:
        flag = _remat_flag(remat.model.remat)
        yield remat, machine, (flag,)
    if machine.sharding != "fsdp":
        split = dataclasses.replace(machine, sharding="fsdp")
        yield config, split, ("--sharding=fsdp",)
        if remat is not None:
            yield remat, split, (flag, "--sharding=fsdp")


def fit_plan(
    make: Callable[[Any], Programs],
    config: Any,
    topology: Topology,
    machine: Machine,
    *,
    say: Callable[[str], None],
    **options: Any,
) -> Plan:
    """The first plan that fits: as asked, or by the first of `choices` that does.

    Args:
        make: a run's config -> its programs.
        config: as asked.
        topology: the devices.
        machine: as asked.
        say: is told of each plan that does not fit.
        **options: of `make_plan`.

    Returns:
        The plan; the last one where none fits.
    """
    plan = make_plan(make(config), topology, machine, **options)
    least = plan.mesh["data"] * config.train.accumulate
    for other, place, flags in choices(config, machine, plan.what, least):
        if plan.memory.fits is not False:
            break
        say(f"{' '.join(plan.changes) or 'As asked'}: {_short(plan)}")
        plan = make_plan(make(other), topology, place, **options, changes=flags)
    return plan


def _short(plan):
    memory = plan.memory
    return f"needs {memory.needed / 2**30:.2f} of {memory.limit / 2**30:.2f} GiB."


def _with_batch(config, size):
    return dataclasses.replace(
        config, train=dataclasses.replace(config.train, batch_size=size)
    )


def _with_remat(config):
    """The config whose backward pass computes all blocks again; None if it cannot."""
    remat = getattr(config.model, "remat", None)
    if remat is None or (all(remat) if isinstance(remat, tuple) else remat):
        return None
    every = (True,) * len(remat) if isinstance(remat, tuple) else True
    model = dataclasses.replace(config.model, remat=every)
    return dataclasses.replace(config, model=model)


def _remat_flag(value):
    stages = "=" + ",".join(map(str, value)) if isinstance(value, tuple) else ""
    return f"--model.remat{stages}"
