"""Distances along a skeleton, and the parts that its joints fall into."""

import numpy as np

from gpsattn_jax.graphs import geodesic_distances, shells, voronoi_parts
from gpsattn_jax.models.gpsnet.config import Config


def skeleton_distances(config: Config) -> np.ndarray:
    """Edges between all joints of the config's skeleton, int [V, V]."""
    return geodesic_distances(config.num_joints, config.edges)


def skeleton_parts(config: Config) -> np.ndarray | None:
    """The structural position of each joint, int [V]; None without a partition."""
    if config.partition == "none":
        return None
    if config.partition == "joint":
        return np.arange(config.num_joints, dtype=np.int32)
    distances = skeleton_distances(config)
    if config.partition == "voronoi":
        return voronoi_parts(distances, config.anchors)
    return shells(distances, config.root)
