"""What a kernel costs, counted in what XLA has compiled."""

import dataclasses

import jax

from benchmarks.kernel_cards.card import Card


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one call at a card's shape.

    Attributes:
        flops: floating-point operations.
        bytes: that instructions read and write.
        temporaries: bytes of memory beside arguments and results.
    """

    flops: int
    bytes: int
    temporaries: int


def measure(card: Card) -> Cost:
    """Compiles the kernel for this machine and asks XLA; nothing is computed."""
    compiled = jax.jit(card.call).lower(*card.inputs()).compile()
    found = compiled.cost_analysis()
    return Cost(
        flops=int(found.get("flops", 0)),
        bytes=int(found.get("bytes accessed", 0)),
        temporaries=compiled.memory_analysis().temp_size_in_bytes,
    )
