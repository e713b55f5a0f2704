"""What a card of a kernel is made of."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
from matplotlib.figure import Figure

# The shapes at which costs are stated: sizes of the axes' letters.
SIZES = {"T": 256, "S": 256, "D": 32, "E": 32, "N": 8, "L": 128, "R": 511, "B": 1}
SIZES |= {"H": 16, "W": 16, "C": 64, "K": 7, "G": 4, "M": 4, "V": 20}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """A kernel, explained.

    Attributes:
        kernel: the function.
        equation: in LaTeX.
        arguments: positional arrays by name, as axis letters; a number is a size.
        out: the result's axes, likewise.
        work: operations of its matmuls and taps, an expression of the letters.
        when: when to use it, and what instead.
        attends: what the picture shows.
        draw: makes the picture.
        options: keyword arguments at the stated shape.
        sizes: of letters that differ from `SIZES`.
        note: on the cost, where the two columns differ for a reason.
    """

    kernel: Callable
    equation: str
    arguments: Mapping[str, str]
    out: str
    work: str
    when: str
    attends: str
    draw: Callable[[], Figure]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    note: str = ""

    @property
    def name(self) -> str:
        """The kernel's."""
        return self.kernel.__name__

    def size(self, letter: str) -> int:
        """Of an axis at the stated shape."""
        return int(letter) if letter.isdigit() else (SIZES | dict(self.sizes))[letter]

    def inputs(self) -> list[jax.ShapeDtypeStruct]:
        """The positional arrays at the stated shape, in float32."""
        shapes = (map(self.size, axes.split()) for axes in self.arguments.values())
        return [jax.ShapeDtypeStruct(tuple(shape), "float32") for shape in shapes]

    def numbers(self) -> int:
        """How many numbers go in and out, each once."""
        shapes = [*self.arguments.values(), self.out]
        return sum(math.prod(map(self.size, axes.split())) for axes in shapes)

    def operations(self) -> int:
        """What `work` comes to at the stated shape."""
        return eval(self.work, {"__builtins__": {}}, SIZES | dict(self.sizes))

    def call(self, *arrays: jax.Array) -> jax.Array:
        """The kernel with its options."""
        return self.kernel(*arrays, **self.options)
