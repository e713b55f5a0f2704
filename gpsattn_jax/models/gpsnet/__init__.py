"""GPS-Net: joint sequences in, a class for each clip out."""

from gpsattn_jax.models.gpsnet.network import (
    NTU_EDGES,
    ORDERS,
    PARTITIONS,
    POOLINGS,
    STREAMS,
    VARIANTS,
    Config,
    GPSNet,
    build,
    skeleton_distances,
    skeleton_parts,
)

__all__ = [
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
