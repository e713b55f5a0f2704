"""What a compiled program does on a device: operations, bytes moved, collectives.

XLA's own `cost_analysis` counts the body of a loop once, however often it runs, and
counts what stays in a TPU's vector memory as if HBM were read; here loops count by
their trips, and HBM by itself. A TPU moves whole tiles: padding counts, as in XLA's
figures.
"""

import dataclasses
import math
import re
from collections.abc import Mapping

from gpsattn_jax.systems.planning.hlo import Program
from gpsattn_jax.systems.planning.operations import count_flops
from gpsattn_jax.systems.planning.traffic import touched

COLLECTIVES = (
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Costs:
    """Of one device and one run of a program.

    Attributes:
        flops: operations of matmuls and convolutions, two for each multiply-add.
        accessed: bytes that instructions read and write.
        memory: those of them that go to and from a TPU's HBM; all on others.
    """

    flops: float = 0.0
    accessed: float = 0.0
    memory: float = 0.0


@dataclasses.dataclass(frozen=True)
class Collective:
    """What devices exchange by one kind of instruction, in a run of a program.

    Attributes:
        count: instructions, loops by their trips.
        size: bytes of a device's arrays.
        moved: bytes that leave a device at the least, by a ring.
    """

    count: int
    size: int
    moved: float


def count_costs(program: Program, *, loops: bool = True) -> Costs:
    """The costs of a program.

    Args:
        program: as `hlo.parse` gives it.
        loops: count loops by their trips; else once, as XLA does.
    """
    flops = accessed = memory = 0.0
    for name, times, fused in program.runs:
        times = times if loops else 1
        instructions = program.computations[name]
        by_name = {instruction.name: instruction for instruction in instructions}
        for instruction in instructions:
            flops += times * count_flops(instruction, by_name)
            if not fused:
                arrays = list(touched(instruction, by_name, program))
                accessed += times * sum(size for size, _ in arrays)
                memory += times * sum(size for size, on_chip in arrays if not on_chip)
    return Costs(flops, accessed, memory)


def count_collectives(program: Program, devices: int) -> Mapping[str, Collective]:
    """Collectives by kind.

    Args:
        program: as `hlo.parse` gives it.
        devices: how many take part where the text does not say it.
    """
    counts, sizes, moved = ({kind: 0 for kind in COLLECTIVES} for _ in range(3))
    for name, times, _ in program.runs:
        instructions = program.computations[name]
        by_name = {instruction.name: instruction for instruction in instructions}
        for instruction in instructions:
            kind = instruction.kind.removesuffix("-start")
            if kind not in COLLECTIVES:
                continue
            given = sum(by_name[n].size for n in instruction.operands if n in by_name)
            # A result of "-start" holds the operand as well, but all-reduce's.
            twice = kind != "all-reduce" and instruction.kind != kind
            size = max(given, instruction.size - given * twice)
            counts[kind] += times
            sizes[kind] += times * size
            group = _group(instruction.text, devices)
            moved[kind] += times * size * _share_moved(kind, group)
    return {
        kind: Collective(counts[kind], sizes[kind], moved[kind])
        for kind in COLLECTIVES
        if counts[kind]
    }


def _share_moved(kind, group):
    if kind == "collective-permute":
        return 1.0
    return (group - 1) / group * (2 if kind == "all-reduce" else 1)


def _group(text, devices):
    """How many devices take part in a collective."""
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", text)
    if listed:
        return len(listed[1].split(","))
    iota = re.search(r"replica_groups=\[(\d+),(\d+)\]<=", text)
    if iota:
        return int(iota[2])
    mesh = re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", text)
    if mesh:
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", mesh[2]))
    return devices
