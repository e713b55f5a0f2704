"""XLA's text of a compiled program: its instructions, and how often each one runs."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator

BYTES = {"pred": 1, "token": 0, "opaque": 0}
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,<=]*)\](\{[^}]*\})?")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_CALLED = re.compile(
    r"\b(?:to_apply|calls|called_computations|branch_computations|true_computation"
    r"|false_computation)=(?:\{([^}]*)\}|(%?[\w.\-]+))"
)
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


@dataclasses.dataclass(frozen=True)
class Array:
    """One array of an instruction's result.

    Attributes:
        dtype: as XLA writes it, "bf16".
        shape: its lengths.
        on_chip: whether it is kept in a TPU's own vector memory, not in HBM.
        order: its axes, the fastest one first; empty for the usual order.
        tile: lengths of which a TPU's fastest axes are made multiples, slowest first.
    """

    dtype: str
    shape: tuple[int, ...]
    on_chip: bool = False
    order: tuple[int, ...] = ()
    tile: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes without padding."""
        return math.ceil(math.prod(self.shape) * self._each)

    @property
    def padded(self) -> int:
        """Bytes with a TPU's padding: a row of 32 values takes the place of 128."""
        lengths = [self.shape[axis] for axis in self.order] or [*self.shape[::-1]]
        for place, multiple in enumerate(self.tile[::-1]):
            if place < len(lengths):
                lengths[place] = -(-lengths[place] // multiple) * multiple
        return math.ceil(math.prod(lengths) * self._each)

    @property
    def _each(self):
        bits = re.search(r"\d+", self.dtype)
        return BYTES.get(self.dtype, int(bits[0]) / 8 if bits else 4)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of the text.

    Attributes:
        name: of its result.
        kind: of the instruction, "all-reduce".
        results: the arrays of its result.
        operands: names of what it takes.
        text: the whole line.
        is_root: whether it is its computation's result.
    """

    name: str
    kind: str
    results: tuple[Array, ...]
    operands: tuple[str, ...]
    text: str
    is_root: bool

    @property
    def size(self) -> int:
        """Bytes of the result."""
        return sum(array.size for array in self.results)

    @property
    def padded(self) -> int:
        """Bytes of the result with padding."""
        return sum(array.padded for array in self.results)

    def called(self) -> list[str]:
        """Names of the computations that it calls once, but no loop's."""
        found = _CALLED.findall(self.text)
        names = [name for many, one in found for name in (many or one).split(",")]
        return [name.strip().lstrip("%") for name in names]


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
        computations: instructions by the name of the computation, in order.
        entry: where it begins.
    """

    computations: dict[str, tuple[Instruction, ...]]
    entry: str

    @functools.cached_property
    def runs(self) -> list[tuple[str, int, bool]]:
        """(computation, how often it runs, whether inside a fusion), all that run."""
        return list(self._runs(self.entry, 1, False))

    @functools.cached_property
    def loops(self) -> list[int]:
        """Trips of each loop, as often as it is met."""
        return [
            self.trips(instruction)
            for name, _, _ in self.runs
            for instruction in self.computations[name]
            if instruction.kind == "while"
        ]

    def trips(self, loop: Instruction) -> int:
        """How often a loop runs: as XLA says, or as its condition does; else 1."""
        known = _TRIPS.search(loop.text)
        if known:
            return int(known[1])
        condition = self.computations[_named(loop.text, "condition")]
        by_name = {instruction.name: instruction for instruction in condition}
        root = next(i for i in condition if i.is_root)
        if root.kind != "compare" or "direction=LT" not in root.text:
            return 1
        # JAX counts from zero, by one.
        limit = re.search(r" constant\((\d+)\)", by_name[root.operands[1]].text)
        return int(limit[1]) if limit else 1

    def _runs(self, name: str, times: int, fused: bool) -> Iterator:
        yield name, times, fused
        for instruction in self.computations[name]:
            if instruction.kind == "while":
                body = _named(instruction.text, "body")
                yield from self._runs(body, times * self.trips(instruction), fused)
            elif instruction.kind in ("fusion", "call", "conditional", "async-start"):
                inside = fused or instruction.kind == "fusion"
                for called in instruction.called():
                    yield from self._runs(called, times, inside)


def parse(text: str) -> Program:
    """The text of `jax.stages.Compiled.as_text()` as a program."""
    computations: dict[str, tuple[Instruction, ...]] = {}
    lines: list[Instruction] = []
    entry = name = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            name, lines = head[2], []
            entry = name if head[1] else entry
        elif line == "}":
            computations[name] = tuple(lines)
        else:
            match = _LINE.match(line)
            if match and name:
                lines.append(_instruction(match))
    return Program(computations, entry)


def _instruction(match):
    rest = match[3]
    end = _closing(rest, 0) if rest.startswith("(") else rest.index(" ")
    kind, _, _ = rest[end:].strip().partition("(")
    start = rest.index(kind + "(", end) + len(kind)
    operands = rest[start + 1 : _closing(rest, start) - 1]
    names = tuple(re.findall(r"%([\w.\-]+)", operands))
    return Instruction(
        name=match[2],
        kind=kind,
        results=tuple(_arrays(rest[:end])),
        operands=names,
        text=rest,
        is_root=bool(match[1]),
    )


def _arrays(text):
    for dtype, lengths, layout in _ARRAY.findall(text):
        shape = _whole_numbers(lengths.replace("<=", ""))
        order, _, tiling = layout.strip("{}").partition(":")
        tile = re.match(r"T\(([\d,]+)\)", tiling)
        yield Array(
            dtype,
            shape,
            on_chip=re.search(r"S\([1-9]\)", tiling) is not None,
            order=_whole_numbers(order),
            tile=_whole_numbers(tile[1]) if tile else (),
        )


def _whole_numbers(text):
    return tuple(int(number) for number in text.split(",") if number)


def _closing(text, start):
    """Behind the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place + 1
    return len(text)


def _named(text, attribute):
    return re.findall(rf"\b{attribute}=%?([\w.\-]+)", text)[0]
