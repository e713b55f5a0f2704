"""What is measured on an accelerator: all rows, the most important first."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

BENCHMARKS = pathlib.Path(__file__).resolve().parents[1]
LIBRARY = BENCHMARKS.parent / "gpsattn_jax"


class LeftOut(Exception):
    """A row that cannot be measured here; the text says what it lacks."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: of its own.
        measure: (seconds of timing) -> figures that go into JSON.
        code: files of `benchmarks/` that its figures depend on, besides the library.
        takes: seconds that it takes, about; it is not started with less left.
    """

    name: str
    measure: Callable[[float], dict[str, Any]]
    code: tuple[str, ...]
    takes: float = 10.0

    def fingerprint(self) -> str:
        """Of the code behind the figures: with other code they are no longer these."""
        known = ("accelerator/card.py", "timing.py", *self.code)
        return fingerprint(BENCHMARKS / name for name in known)


def fingerprint(paths: Iterable[pathlib.Path]) -> str:
    """Hexadecimal digits of what files hold."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def library() -> str:
    """The fingerprint of the library."""
    return fingerprint(sorted(LIBRARY.rglob("*.py")))


def rows(tiny: bool) -> Iterator[Row]:
    """All of them.

    Args:
        tiny: small shapes, for a trial on a CPU.
    """
    from benchmarks.accelerator import card, kernels, parity, peers, systems

    for name, measure in (("matmul", card.matmul), ("copy", card.copy)):
        yield Row(f"card: {name}", functools.partial(measure, tiny), ())
    for part in (parity, systems, kernels, peers):
        yield from part.rows(tiny)
