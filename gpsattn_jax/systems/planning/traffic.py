"""Bytes that the instructions of a compiled program read and write."""

import itertools
import re
from collections.abc import Iterator, Mapping

from gpsattn_jax.systems.planning.hlo import Instruction, Program

# They give a name to what is there, or their parts are counted by themselves.
FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "call",
    "conditional", "async-start", "iota", "partition-id", "replica-id", "after-all",
    "add-dependency", "optimization-barrier", "opt-barrier",
}  # fmt: skip
CUTS = ("dynamic-slice", "slice", "gather")


def touched(
    instruction: Instruction, by_name: Mapping[str, Instruction], program: Program
) -> Iterator[tuple[float, bool]]:
    """(bytes, whether in a TPU's vector memory) of what an instruction reads, writes.

    An asynchronous one counts where it starts.

    Args:
        instruction: of a computation that is no fusion.
        by_name: the instructions of that computation.
        program: where what a fusion does is found.
    """
    kind = instruction.kind
    if kind in FREE or kind.endswith("-done") or "AllocateBuffer" in instruction.text:
        return
    operands = [by_name[name] for name in instruction.operands if name in by_name]
    if kind == "slice-start":  # (what it cuts, the part, …)
        source, part = instruction.results[:2]
        yield from (
            (part.padded, on_chip) for on_chip in (source.on_chip, part.on_chip)
        )
        return
    if kind == "copy-start":  # (the copy, its source, …)
        yield from _sizes(instruction.results[:2])
        return
    if kind in CUTS:
        yield from _sizes(instruction.results * 2)
        return
    if kind == "dynamic-update-slice":
        yield from _sizes(operands[1].results * 2)
        return
    reads, writes = [None] * len(operands), None
    if kind == "fusion":
        reads, writes = _inside(instruction, program)
    for operand, wanted in itertools.zip_longest(operands, reads[: len(operands)]):
        yield from _limited(operand.results, wanted)
    yield from _limited(instruction.results, writes)


def _inside(fusion, program):
    """Bytes that a fusion reads of each operand and writes, where it takes parts.

    None where it takes all.
    """
    instructions = program.computations[fusion.called()[0]]
    by_name = {instruction.name: instruction for instruction in instructions}
    reads: dict[int, float | None] = {}
    for instruction in instructions:
        if instruction.kind == "parameter":
            number = int(re.findall(r"parameter\((\d+)\)", instruction.text)[0])
            reads[number] = _part_read(instruction, instructions, by_name)
    root = next(i for i in instructions if i.is_root)
    writes = None
    if root.kind == "dynamic-update-slice":
        writes = by_name[root.operands[1]].padded
    return [reads.get(n) for n in range(len(fusion.operands))], writes


def _part_read(parameter, instructions, by_name):
    """Bytes that are read of a fusion's parameter; None for all of it."""
    users = [i for i in instructions if parameter.name in i.operands]
    total = 0.0
    for user in users:
        if user.kind in CUTS and user.operands[0] == parameter.name:
            total += user.padded
        elif user.kind == "bitcast":
            part = _part_read(user, instructions, by_name)
            if part is None:
                return None
            total += part
        elif user.kind != "dynamic-update-slice" or user.operands[0] != parameter.name:
            return None  # else the part is written in its place
    return total


def _limited(arrays, part):
    size = sum(array.padded for array in arrays)
    if part is None or part >= size:
        yield from _sizes(arrays)
    elif arrays:
        yield part, arrays[0].on_chip


def _sizes(arrays):
    yield from ((array.padded, array.on_chip) for array in arrays)
