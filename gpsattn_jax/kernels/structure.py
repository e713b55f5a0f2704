"""Structural positions on a graph, such as a skeleton: distances, parts, biases.

A graph is known before anything is computed: the first four functions are NumPy's, of
plain numbers, and what they return is a constant of the network.
"""

from collections.abc import Sequence

import jax
import numpy as np
from scipy.sparse import csgraph, csr_array

from gpsattn_jax.kernels.shapes import check_shapes

Edges = Sequence[tuple[int, int]]


def geodesic_distances(
    num_joints: int, edges: Edges, lengths: Sequence[float] | None = None
) -> np.ndarray:
    """Lengths of the shortest paths between all joints.

    Args:
        num_joints: V.
        edges: pairs of joints, counted from 0.
        lengths: of each edge, such as mean bone lengths; every edge is 1 if None.

    Returns:
        [V, V]; int32 where edges are counted, else float64.

    Raises:
        ValueError: if a joint does not exist, the graph is in pieces, or the lengths
            are not one above 0 for each edge.
    """
    for edge in edges:
        if len(edge) != 2 or any(joint not in range(num_joints) for joint in edge):
            raise ValueError(
                f"edges must be pairs of joints from 0 to {num_joints - 1}; "
                f"got {tuple(edge)}."
            )
    pairs = np.asarray(edges, np.int64).reshape(-1, 2)
    sizes = np.ones(len(pairs)) if lengths is None else np.asarray(lengths, float)
    if sizes.shape != (len(pairs),) or not (sizes > 0).all():
        raise ValueError(
            f"lengths must be above 0, one for each of {len(pairs)} edges; "
            f"got {lengths}."
        )
    table = np.full((num_joints, num_joints), np.inf)
    for (one, other), size in zip(pairs, sizes, strict=True):
        table[one, other] = table[other, one] = min(size, table[one, other])
    table = np.where(np.isfinite(table), table, 0.0)  # where there is no edge
    distances = csgraph.shortest_path(csr_array(table), directed=False)
    if not np.isfinite(distances).all():
        lost = np.flatnonzero(~np.isfinite(distances[0])).tolist()
        raise ValueError(f"edges must connect all joints; {lost} cannot be reached.")
    return distances if lengths is not None else distances.astype(np.int32)


def shells(distances: np.ndarray, root: int) -> np.ndarray:
    """Parts by distance from the root, [V, V] -> int [V]: 0 is the root alone.

    GPS-Net's structural positions: all joints of a part share one code.
    """
    return np.rint(distances[root]).astype(np.int32)


def voronoi_parts(distances: np.ndarray, anchors: Sequence[int]) -> np.ndarray:
    """Parts by the nearest anchor, [V, V] -> int [V]; the first of equally near ones.

    Raises:
        ValueError: if there is no anchor, or one is no joint.
    """
    if not len(anchors) or not set(anchors) <= set(range(len(distances))):
        raise ValueError(
            f"anchors must be joints from 0 to {len(distances) - 1}, at least one; "
            f"got {tuple(anchors)}."
        )
    return distances[:, list(anchors)].argmin(1).astype(np.int32)


def bone_parents(distances: np.ndarray, root: int) -> np.ndarray:
    """For each joint its neighbour nearer to the root, [V, V] -> int [V].

    The root is its own parent; of two such neighbours the first is taken. The distances
    count edges.
    """
    towards = distances[root][None] == distances[root][:, None] - 1
    parents = ((distances == 1) & towards).argmax(1)
    parents[root] = root
    return parents.astype(np.int32)


def geodesic_bias(table: jax.Array, distances: np.ndarray) -> jax.Array:
    """A learned number for each distance: [R], int [V, V] -> [V, V].

    Added to the logits of one head (Graphormer, arXiv 2106.05234, section 3.1.2).

    Args:
        table: [R], one more than the largest distance.
        distances: whole numbers below R.

    Raises:
        ValueError: if the shapes do not fit, or a distance is beyond the table.
    """
    check_shapes(table=(table, "R"), distances=(distances, "V V"))
    if distances.max() >= len(table):
        raise ValueError(
            f"table must have a row for each distance up to {distances.max()}; "
            f"got {len(table)} rows."
        )
    return table[distances]
