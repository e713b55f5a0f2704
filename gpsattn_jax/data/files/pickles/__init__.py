"""One restricted machine for all pickles: it builds data, and runs nothing of a file.

Whoever reads a kind of pickle gives the machine its list of names: `read` is for
skeletons and CIFAR (NumPy's arrays alone); PyTorch's files have theirs in `convert`.
"""

from gpsattn_jax.data.files.pickles.arrays import array_builders
from gpsattn_jax.data.files.pickles.machine import Find, Machine
from gpsattn_jax.data.files.pickles.parts import (
    Builder,
    Inert,
    check,
    plain_dict,
    reason,
    refuse,
)
from gpsattn_jax.data.files.pickles.read import parse_pickle, read_pickle

__all__ = [
    "Builder",
    "Find",
    "Inert",
    "Machine",
    "array_builders",
    "check",
    "parse_pickle",
    "plain_dict",
    "read_pickle",
    "reason",
    "refuse",
]
