"""Graphs of joints: shortest ways, the middle, parents and parts. Plain numbers.

A skeleton is known before anything is computed. Its layout (data) and its network
(models) ask here, so that there is one search: what is found is a constant of both.
"""

import heapq
import math
from collections.abc import Mapping, Sequence

import numpy as np

Edges = Sequence[tuple[int, int]]
Neighbours = Sequence[Mapping[int, float]]

# With rings the middle takes a search from every joint; a tree takes three.
MOST_JOINTS_WITH_RINGS = 1_000


def neighbours_of(
    num_joints: int, edges: Edges, lengths: Sequence[float] | None = None
) -> tuple[dict[int, float], ...]:
    """For each joint the joints at the other ends of its edges, and how far they are.

    Args:
        num_joints: V.
        edges: pairs of joints, counted from 0.
        lengths: of each edge; every edge is 1 if None.

    Returns:
        V dicts {joint: length}, joints in rising order; of equal edges the shortest.
    """
    found: list[dict[int, float]] = [{} for _ in range(num_joints)]
    sizes = [1] * len(edges) if lengths is None else lengths
    for (one, other), size in zip(edges, sizes, strict=True):
        for joint, near in ((one, other), (other, one)):
            found[joint][near] = min(size, found[joint].get(near, math.inf))
    return tuple(dict(sorted(near.items())) for near in found)


def distances_from(start: int, neighbours: Neighbours) -> list[float]:
    """Lengths of the shortest ways from a joint to each other (Dijkstra 1959).

    Args:
        start: the joint.
        neighbours: as from `neighbours_of`.

    Returns:
        V numbers, whole where the edges are; infinite where there is no way.
    """
    found: list[float] = [math.inf] * len(neighbours)
    found[start] = 0
    frontier: list[tuple[float, int]] = [(0, start)]
    while frontier:
        way, joint = heapq.heappop(frontier)
        if way > found[joint]:
            continue  # a shorter way was found since
        for near, length in neighbours[joint].items():
            if way + length < found[near]:
                found[near] = way + length
                heapq.heappush(frontier, (way + length, near))
    return found


def middle_of(neighbours: Neighbours) -> int:
    """The joint of least eccentricity: its farthest joint is nearer than any other's.

    Of a tree three searches find it, since every joint's farthest joint is an end of a
    longest way.

    Args:
        neighbours: of a connected graph, as from `neighbours_of`.

    Returns:
        The joint; the first one of equals.

    Raises:
        ValueError: if a graph with rings has more than 1,000 joints.
    """
    count = len(neighbours)
    if sum(map(len, neighbours)) == 2 * (count - 1):
        first = distances_from(0, neighbours)
        one = distances_from(first.index(max(first)), neighbours)
        other = distances_from(one.index(max(one)), neighbours)
        farthest = [max(pair) for pair in zip(one, other, strict=True)]
    elif count > MOST_JOINTS_WITH_RINGS:
        raise ValueError(
            f"root must be given: a graph of {count} joints (above "
            f"{MOST_JOINTS_WITH_RINGS}) with rings is not searched for its middle."
        )
    else:
        farthest = [max(distances_from(joint, neighbours)) for joint in range(count)]
    return farthest.index(min(farthest))


def bone_parents(root: int, neighbours: Neighbours) -> tuple[int, ...]:
    """For each joint its neighbour nearer to the root; the root is its own parent.

    Args:
        root: the joint that everything hangs on.
        neighbours: of edges that are counted, as from `neighbours_of`.

    Returns:
        V joints; where edges form a ring, the nearer neighbour of the lowest number.
    """
    steps = distances_from(root, neighbours)
    return tuple(
        min((n for n in near if steps[n] < steps[joint]), default=joint)
        for joint, near in enumerate(neighbours)
    )


def geodesic_distances(
    num_joints: int, edges: Edges, lengths: Sequence[float] | None = None
) -> np.ndarray:
    """Lengths of the shortest ways between all joints.

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
    if lengths is not None:
        fits = len(lengths) == len(edges) and all(size > 0 for size in lengths)
        if not fits:
            raise ValueError(
                f"lengths must be above 0, one for each of {len(edges)} edges; "
                f"got {lengths}."
            )
    neighbours = neighbours_of(num_joints, edges, lengths)
    found = np.array([distances_from(joint, neighbours) for joint in range(num_joints)])
    if not np.isfinite(found).all():
        lost = np.flatnonzero(~np.isfinite(found[0])).tolist()
        raise ValueError(f"edges must connect all joints; {lost} cannot be reached.")
    return found.astype(np.int32 if lengths is None else np.float64)


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
