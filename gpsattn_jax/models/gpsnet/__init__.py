"""GPS-Net: joint sequences in, a class for each clip out.

"Global Positional Self-Attention for Skeleton-Based Action Recognition". GPS-Net here
is reconstructed from its abstract; the paper's layer sizes, recipe and scores were not
available to us. The abstract has attention between joints (structure) and attention
between channels (order), and structural positions by geodesic distance whose joints
share one code. All else is our choice; its precedents are named beside it.
"""

from gpsattn_jax.models.gpsnet.config import (
    BLOCKS,
    CODE_PLACES,
    NTU_EDGES,
    ORDERS,
    PARTITIONS,
    POOLINGS,
    STREAMS,
    VARIANTS,
    Config,
)
from gpsattn_jax.models.gpsnet.network import GPSNet, build
from gpsattn_jax.models.gpsnet.skeleton import skeleton_distances, skeleton_parts

__all__ = [
    "BLOCKS",
    "CODE_PLACES",
    "NTU_EDGES",
    "ORDERS",
    "PARTITIONS",
    "POOLINGS",
    "STREAMS",
    "VARIANTS",
    "Config",
    "GPSNet",
    "build",
    "skeleton_distances",
    "skeleton_parts",
]
