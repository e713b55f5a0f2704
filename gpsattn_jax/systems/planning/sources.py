"""Where in our code the traffic of a compiled program comes from."""

import collections
import dataclasses
import re
from collections.abc import Callable

from gpsattn_jax.systems.planning.hlo import Program
from gpsattn_jax.systems.planning.operations import count_flops
from gpsattn_jax.systems.planning.traffic import touched

OURS = "gpsattn_jax/"
_TABLES = ("FileNames", "FunctionNames", "FileLocations", "StackFrames")


@dataclasses.dataclass(frozen=True)
class Source:
    """A line of ours and what its instructions do in a run, on one device.

    Attributes:
        line: file, line, function; whether it is of the gradient.
        memory: bytes to and from HBM; all that are accessed where there is none.
        flops: of its matmuls and convolutions.
    """

    line: str
    memory: float
    flops: float


def count_sources(program: Program, text: str) -> list[Source]:
    """The lines of our code by their traffic, the most first; loops by their trips.

    A fusion counts for the line that its result comes from.

    Args:
        program: as parsed from the text.
        text: of the compiled program, which begins with tables of source lines.
    """
    find = _finder(text)
    memory: dict[str, float] = collections.defaultdict(float)
    flops: dict[str, float] = collections.defaultdict(float)
    for name, times, fused in program.runs:
        instructions = program.computations[name]
        by_name = {instruction.name: instruction for instruction in instructions}
        for instruction in instructions:
            line = find(instruction.text)
            flops[line] += times * count_flops(instruction, by_name)
            if not fused:
                sizes = touched(instruction, by_name, program)
                memory[line] += times * sum(s for s, on_chip in sizes if not on_chip)
    rows = [Source(line, memory[line], flops[line]) for line in flops]
    return sorted(rows, key=lambda row: -row.memory)


def _finder(text: str) -> Callable[[str], str]:
    """An instruction's text -> the innermost line of ours that it comes from."""
    files, functions, locations, frames = (_table(text, name) for name in _TABLES)

    def line_of(frame):
        place = _fields(locations[_fields(frames[frame])["file_location_id"]])
        path = files[place["file_name_id"]].strip('"')
        if OURS not in path:
            return None
        function = functions[place["function_name_id"]].strip('"').split(".")[-1]
        return f"{path.split(OURS)[-1]}:{place['line']} {function}"

    def find(instruction):
        found = re.search(r"stack_frame_id=(\d+)", instruction)
        frame = int(found[1]) if found else 0
        gradient = ", gradient" if "transpose(" in instruction else ""
        while frame in frames:
            line = line_of(frame)
            if line is not None:
                return line + gradient
            # Written one higher than it is: 1 for a frame without a parent.
            frame = _fields(frames[frame])["parent_frame_id"] - 1
        return "XLA's own: copies, prefetches"

    return find


def _table(text, name):
    """{number: rest of the line} of a table in front of the program."""
    section = re.search(rf"^{name}\n((?:\d+ .*\n)+)", text, re.MULTILINE)
    lines = section[1].splitlines() if section else []
    return {int(line.split(" ", 1)[0]): line.split(" ", 1)[1] for line in lines}


def _fields(entry):
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", entry)}
