"""Public figures of TPU chips: the one table that a plan's bounds come from."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """One chip, as its maker describes it.

    Attributes:
        tflops: peak of bfloat16 matmuls, 10^12 operations a second.
        memory: bytes of HBM.
        bandwidth: of HBM, bytes a second.
        links: bytes a second to other chips of its slice, in one direction.
    """

    tflops: float
    memory: float
    bandwidth: float
    links: float


GIB = 2**30
# From https://docs.cloud.google.com/tpu/docs/v4, /v5e, /v5p and /v6e. Memory in GiB,
# as XLA's own limits have it; links are half of the pages' bidirectional figure, for
# v4 the six links of 50 GB/s of arXiv 2304.01433.
CHIPS = {
    "v4": Chip(275, 32 * GIB, 1200e9, 300e9),
    "v5e": Chip(197, 16 * GIB, 819e9, 200e9),
    "v5p": Chip(459, 95 * GIB, 2765e9, 600e9),
    "v6e": Chip(918, 32 * GIB, 1638e9, 400e9),
}
