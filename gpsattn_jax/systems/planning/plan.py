"""One program of a run, compiled for its devices, and what that says about it."""

import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

from gpsattn_jax.platforms import traced_for
from gpsattn_jax.stacks import path_name
from gpsattn_jax.systems.planning import hlo
from gpsattn_jax.systems.planning.bounds import Bound, find_bound
from gpsattn_jax.systems.planning.costs import (
    Collective,
    Costs,
    count_collectives,
    count_costs,
)
from gpsattn_jax.systems.planning.programs import Programs
from gpsattn_jax.systems.planning.sources import Source, count_sources
from gpsattn_jax.systems.planning.topologies import Topology
from gpsattn_jax.training.ahead import state_shapes
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.sharding import place

HEAVIEST = 20  # lines of code that a plan names
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_REFUSED = re.compile(r"[Uu]sed ([\d.]+)([KMGT]?)i?B? of ([\d.]+)([KMGT]?)i?B? hbm")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An array of a run's state: path, shape, `PartitionSpec`, bytes a device."""

    name: str
    shape: tuple[int, ...]
    spec: str
    size: int


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of a device while the program runs.

    Attributes:
        arguments: weights, optimizer, batch.
        outputs: that take no argument's place.
        temporaries: everything between.
        program: its instructions.
        limit: that the device has; None for CPUs.
        needed: of all together, or what XLA said when it refused the program.
    """

    arguments: int
    outputs: int
    temporaries: int
    program: int
    limit: float | None
    needed: float

    @property
    def fits(self) -> bool | None:
        """None where nothing says what there is."""
        return None if self.limit is None else self.needed <= self.limit


@dataclasses.dataclass(frozen=True)
class Plan:
    """A program, planned. All sizes and counts are those of one device.

    Attributes:
        what: train or evaluate.
        topology: the devices' name.
        mesh: axes and sizes.
        sharding: name of the rules.
        precision: of the network's computations.
        batch_size: of the global batch.
        changes: flags that differ from what was asked, so that it fits.
        assumed: what data would decide.
        versions: of JAX and of the compiler.
        parameters: the network's, largest first.
        optimizer: bytes of the optimizer's state, in training.
        averages: bytes of moving averages and batch statistics.
        memory: see there.
        costs: with loops by their trips; None where XLA refused the program.
        loops_once: XLA's own figures, {"flops", "accessed"}.
        loops: trips of each loop.
        collectives: by kind.
        sources: lines of our code with the most traffic.
        bound: the least time of a run; None for CPUs.
        lower_seconds: tracing took.
        compile_seconds: XLA took.
    """

    what: str
    topology: str
    mesh: Mapping[str, int]
    sharding: str
    precision: str
    batch_size: int
    changes: tuple[str, ...]
    assumed: str
    versions: Mapping[str, str]
    parameters: tuple[Parameter, ...]
    optimizer: int
    averages: int
    memory: Memory
    costs: Costs | None
    loops_once: Mapping[str, float]
    loops: tuple[int, ...]
    collectives: Mapping[str, Collective]
    sources: tuple[Source, ...]
    bound: Bound | None
    lower_seconds: float
    compile_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, with what follows from them."""
        found = dataclasses.asdict(self)
        found["memory"]["fits"] = self.memory.fits
        found["parameter_bytes"] = sum(p.size for p in self.parameters)
        if self.costs is not None:
            found["costs"]["intensity"] = self.costs.flops / max(self.costs.memory, 1)
        return found


def make_plan(
    programs: Programs,
    topology: Topology,
    machine: Machine,
    *,
    what: str = "train",
    limit: float | None = None,
    changes: tuple[str, ...] = (),
    keep: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Compiles a run's program for a topology; nothing of it is allocated or run.

    Args:
        programs: the run's.
        topology: the devices.
        machine: the mesh and the rules of what goes where.
        what: train or evaluate.
        limit: bytes of a device; the chip's by default.
        changes: for the plan's own record.
        keep: is given the compiled program's text.

    Raises:
        ValueError: if mesh, batch and devices do not fit each other.
    """
    placement = place(machine, topology.devices)
    start = time.monotonic()
    with traced_for(topology.devices[0].platform):
        lowered = programs.lower(what, placement)
    lowered_at = time.monotonic()
    if limit is None and topology.chip is not None:
        limit = topology.chip.memory * topology.share
    compiled, refused = _compile(lowered)
    took = time.monotonic() - lowered_at
    facts: dict[str, Any] = {
        "memory": refused,
        "costs": None,
        "loops_once": {},
        "loops": (),
        "collectives": {},
        "sources": (),
        "bound": None,
    }
    if compiled is not None:
        text = compiled.as_text()
        keep(text)
        facts = _facts(compiled, text, topology, limit)
    size = programs.batch_size(what, placement)
    parameters, optimizer, averages = _state(programs, placement, what)
    precision = programs.config.train.precision if what == "train" else "float32"
    return Plan(
        what=what,
        topology=topology.name,
        mesh=dict(placement.mesh.shape),
        sharding=machine.sharding,
        precision=precision,
        batch_size=size,
        changes=changes,
        assumed=programs.assumed,
        versions={"jax": jax.__version__, "compiler": topology.compiler},
        parameters=parameters,
        optimizer=optimizer,
        averages=averages,
        **facts,
        lower_seconds=lowered_at - start,
        compile_seconds=took,
    )


def _compile(lowered):
    """(the program, None), or (None, what XLA wanted) where memory does not suffice."""
    cached = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)  # the time is a result
    try:
        return lowered.compile(), None
    except jax.errors.JaxRuntimeError as error:
        wanted = _REFUSED.search(str(error))
        if wanted is None:
            raise ValueError(
                f"XLA cannot compile it: {' '.join(str(error).split())[:300]}"
            ) from error
        used, there = (float(wanted[i]) * _UNITS[wanted[i + 1]] for i in (1, 3))
        return None, Memory(0, 0, 0, 0, there, used)
    finally:
        jax.config.update("jax_enable_compilation_cache", cached)


def _facts(compiled, text, topology, limit):
    """What a compiled program says of itself."""
    sizes = compiled.memory_analysis()
    outputs = sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    parts = (
        sizes.argument_size_in_bytes,
        outputs,
        sizes.temp_size_in_bytes,
        sizes.generated_code_size_in_bytes,
    )
    program = hlo.parse(text)
    costs = count_costs(program)
    collectives = count_collectives(program, len(topology.devices))
    once = compiled.cost_analysis()
    return {
        "memory": Memory(*parts, limit, sum(parts)),
        "costs": costs,
        "loops_once": {"flops": once["flops"], "accessed": once["bytes accessed"]},
        "loops": tuple(program.loops),
        "collectives": collectives,
        "sources": tuple(count_sources(program, text)[:HEAVIEST]),
        "bound": find_bound(costs, collectives, topology),
    }


def _state(programs, placement, what):
    """(parameters, bytes of the optimizer, bytes of statistics and averages)."""
    config = programs.config.train
    state = state_shapes(programs.network, config, placement, programs.layers)
    rows = sorted(_rows(state.params), key=lambda row: -row.size)
    others = _size(state.model_state)
    if what == "evaluate":
        return tuple(rows), 0, others
    return tuple(rows), _size(state.opt_state), others + _size(state.ema)


def _rows(tree):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        spec = str(tuple(leaf.sharding.spec)) if any(leaf.sharding.spec) else "copies"
        yield Parameter(path_name(path), leaf.shape, spec, _leaf_size(leaf))


def _size(tree):
    return sum(map(_leaf_size, jax.tree.leaves(tree)))


def _leaf_size(leaf):
    shape = leaf.sharding.shard_shape(leaf.shape)
    size = leaf.dtype.itemsize
    for length in shape:
        size *= length
    return size
