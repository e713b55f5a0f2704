"""TransXNet: a backbone of blocks that attend and convolve, each in its own way.

"TransXNet: Learning Both Global and Local Dynamics with a Dual Dynamic Token Mixer for
Visual Recognition" (arXiv 2310.19380); exact to the official code's
(LMMMEng/TransXNet) outputs, gradients and batch statistics.
"""

from gpsattn_jax.models.transxnet.config import (
    NORMS,
    PER_STAGE,
    RESIZES,
    VARIANTS,
    Config,
)
from gpsattn_jax.models.transxnet.network import Block, Stage, TransXNet, build
from gpsattn_jax.models.transxnet.tables import fit_table, resize_tables

__all__ = [
    "NORMS",
    "PER_STAGE",
    "RESIZES",
    "VARIANTS",
    "Block",
    "Config",
    "Stage",
    "TransXNet",
    "build",
    "fit_table",
    "resize_tables",
]
