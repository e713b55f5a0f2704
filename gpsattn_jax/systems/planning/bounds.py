"""The least time that a program can take on a chip: the roofline."""

import dataclasses
from collections.abc import Mapping

from gpsattn_jax.systems.planning.costs import Collective, Costs
from gpsattn_jax.systems.planning.topologies import Topology


@dataclasses.dataclass(frozen=True)
class Bound:
    """Seconds that each part takes at the chip's peak; the longest one is the bound.

    Attributes:
        compute: matmuls at the peak of bfloat16; float32 ones pass through the same
            units, by JAX's default in one pass of bfloat16.
        memory: HBM traffic.
        links: what collectives move, at all links of a chip together.
        seconds: the longest of them, as if they overlapped wholly.
        by: its name.
    """

    compute: float
    memory: float
    links: float
    seconds: float
    by: str


def find_bound(
    costs: Costs, collectives: Mapping[str, Collective], topology: Topology
) -> Bound | None:
    """The bound of one device; None where no chip's figures are known."""
    chip = topology.chip
    if chip is None:
        return None
    moved = sum(row.moved for row in collectives.values())
    parts = {
        "compute": costs.flops / (chip.tflops * 1e12 * topology.share),
        "memory": costs.memory / (chip.bandwidth * topology.share),
        "links": moved / (chip.links * topology.share),
    }
    by = max(parts, key=parts.__getitem__)
    return Bound(**parts, seconds=parts[by], by=by)
