"""Distances, parts and parents on graphs, against loops over plain lists."""

import re
import time

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.layouts import LAYOUTS, load_layout
from gpsattn_jax.graphs import (
    bone_parents,
    distances_from,
    geodesic_distances,
    middle_of,
    neighbours_of,
    shells,
    voronoi_parts,
)

LINE = ((0, 1), (1, 2), (2, 3), (3, 4))
SEEDS = range(8)


def random_graph(seed):
    """(joints, edges): a tree, and a few edges more that close rings."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(2, 14))
    order = generator.permutation(count).tolist()
    edges = [
        (order[place], order[int(generator.integers(place))])
        for place in range(1, count)
    ]
    for _ in range(seed // 2):
        one, other = (int(joint) for joint in generator.integers(count, size=2))
        if one != other and not {(one, other), (other, one)} & set(edges):
            edges.append((one, other))
    return count, tuple(edges)


def breadth_first(count, edges, start):
    """Edges on the way from one joint to each."""
    steps, frontier = {start: 0}, [start]
    while frontier:
        joint = frontier.pop(0)
        for edge in edges:
            if joint in edge:
                other = edge[1] if edge[0] == joint else edge[0]
                if other not in steps:
                    steps[other] = steps[joint] + 1
                    frontier.append(other)
    return [steps[joint] for joint in range(count)]


def relaxed(count, edges, lengths, start):
    """Lengths of the ways from one joint to each: Bellman and Ford's loops."""
    found = [np.inf] * count
    found[start] = 0.0
    for _ in range(count):
        for (one, other), length in zip(edges, lengths, strict=True):
            found[one] = min(found[one], found[other] + length)
            found[other] = min(found[other], found[one] + length)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_distances_count_edges(seed):
    count, edges = random_graph(seed)
    found = geodesic_distances(count, edges)
    assert found.dtype == np.int32
    expected = [breadth_first(count, edges, joint) for joint in range(count)]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_distances_by_the_lengths_of_edges(seed):
    count, edges = random_graph(seed)
    lengths = np.random.default_rng(seed).uniform(0.1, 3, len(edges))
    found = geodesic_distances(count, edges, lengths)
    expected = [relaxed(count, edges, lengths, joint) for joint in range(count)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    ones = geodesic_distances(count, edges, [1.0] * len(edges))
    np.testing.assert_array_equal(ones, geodesic_distances(count, edges))
    np.testing.assert_array_equal(
        shells(found, 0), [round(length) for length in expected[0]]
    )


def test_one_joint_alone():
    distances = geodesic_distances(1, ())
    assert distances.tolist() == [[0]]
    neighbours = neighbours_of(1, ())
    assert shells(distances, 0).tolist() == [0] == list(bone_parents(0, neighbours))
    assert middle_of(neighbours) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_shells_are_distances_from_the_root(seed):
    count, edges = random_graph(seed)
    root = seed % count
    parts = shells(geodesic_distances(count, edges), root)
    assert parts.dtype == np.int32
    assert parts.tolist() == breadth_first(count, edges, root)
    assert set(parts.tolist()) == set(range(parts.max() + 1))  # no code is unused


@pytest.mark.parametrize("seed", SEEDS)
def test_parents_are_neighbours_one_step_nearer(seed):
    count, edges = random_graph(seed)
    root = seed % count
    parents = bone_parents(root, neighbours_of(count, edges))
    steps = breadth_first(count, edges, root)
    assert parents[root] == root
    for joint in set(range(count)) - {root}:
        nearer = [
            other
            for other in range(count)
            if {(joint, other), (other, joint)} & set(edges)
            and steps[other] == steps[joint] - 1
        ]
        assert parents[joint] == min(nearer)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_asks_the_same_search(layout):
    distances = geodesic_distances(layout.num_joints, layout.edges)
    steps = layout.steps_from(layout.root)
    assert tuple(shells(distances, layout.root).tolist()) == steps
    for joint, parent in enumerate(layout.parents):
        nearer = [
            near for near in layout.neighbours[joint] if steps[near] < steps[joint]
        ]
        assert parent == min(nearer, default=joint)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_middle_is_the_first_joint_of_least_eccentricity(seed):
    """Of trees (seeds 0 and 1) by three searches, of graphs with rings by all."""
    count, edges = random_graph(seed)
    farthest = [max(breadth_first(count, edges, joint)) for joint in range(count)]
    assert middle_of(neighbours_of(count, edges)) == farthest.index(min(farthest))


@pytest.mark.parametrize("seed", range(20))
def test_the_middle_of_a_tree(seed):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(2, 30))
    edges = [(int(generator.integers(joint)), joint) for joint in range(1, count)]
    farthest = [max(breadth_first(count, edges, joint)) for joint in range(count)]
    assert middle_of(neighbours_of(count, edges)) == farthest.index(min(farthest))


def test_a_long_chain_has_its_middle_at_once(tmp_path):
    """10,000 joints: a search from each of them took minutes."""
    path = tmp_path / "chain.txt"
    path.write_text("\n".join(f"{joint} {joint + 1}" for joint in range(9_999)))
    begin = time.perf_counter()
    layout = load_layout(path)
    assert layout.root == 4_999 and layout.num_joints == 10_000
    assert layout.parents[0] == 1 and layout.parents[-1] == 9_998
    assert time.perf_counter() - begin < 20  # some tenths of a second


def test_rings_of_many_joints_need_a_root():
    ring = [(joint, (joint + 1) % 1_001) for joint in range(1_001)]
    with pytest.raises(ValueError, match="root must be given: a graph of 1001 joints"):
        middle_of(neighbours_of(1_001, ring))


def test_a_piece_that_cannot_be_reached_is_infinitely_far():
    assert distances_from(0, neighbours_of(3, ((0, 1),))) == [0, 1, np.inf]


@pytest.mark.parametrize(
    ("anchors", "expected"),
    [
        ((0, 4), [0, 0, 0, 1, 1]),  # joint 2 is equally near: the first
        ((4, 0), [1, 1, 0, 0, 0]),
        ((3,), [0, 0, 0, 0, 0]),
        ((1, 2, 4), [0, 0, 1, 1, 2]),
    ],
)
def test_the_nearest_anchor_and_the_first_of_equals(anchors, expected):
    parts = voronoi_parts(geodesic_distances(5, LINE), anchors)
    assert parts.dtype == np.int32
    assert parts.tolist() == expected


@pytest.mark.parametrize("name", ["ntu25", "jhmdb15", "coco17"])
def test_anchors_tell_left_from_right(name):
    layout = LAYOUTS[name]
    distances = geodesic_distances(layout.num_joints, layout.edges)
    parts = voronoi_parts(distances, layout.anchors)
    told = [left for left, right in layout.mirror if parts[left] != parts[right]]
    assert set(layout.anchors) & {left for left, _ in layout.mirror} <= set(told)
    of_shells = shells(distances, layout.root)
    assert all(of_shells[left] == of_shells[right] for left, right in layout.mirror)


BAD_GRAPHS = {
    "a joint too many": (
        (3, ((0, 1), (1, 3))),
        "edges must be pairs of joints from 0 to 2; got (1, 3).",
    ),
    "below zero": (
        (3, ((0, 1), (1, -1))),
        "edges must be pairs of joints from 0 to 2; got (1, -1).",
    ),
    "three at once": (
        (3, ((0, 1, 2), (1, 2, 0))),
        "edges must be pairs of joints from 0 to 2; got (0, 1, 2).",
    ),
    "no whole number": (
        (2, ((0.5, 1),)),
        "edges must be pairs of joints from 0 to 1; got (0.5, 1).",
    ),
    "in pieces": (
        (4, ((0, 1), (2, 3))),
        "edges must connect all joints; [2, 3] cannot be reached.",
    ),
    "no edges": ((2, ()), "edges must connect all joints; [1] cannot be reached."),
    "one length too few": (
        (3, ((0, 1), (1, 2)), (1.0,)),
        "lengths must be above 0, one for each of 2 edges; got (1.0,).",
    ),
    "a length of zero": (
        (2, ((0, 1),), (0.0,)),
        "lengths must be above 0, one for each of 1 edges; got (0.0,).",
    ),
    "no number": (
        (2, ((0, 1),), (float("nan"),)),
        "lengths must be above 0, one for each of 1 edges; got (nan,).",
    ),
}


@pytest.mark.parametrize("arguments, message", BAD_GRAPHS.values(), ids=BAD_GRAPHS)
def test_graphs_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        geodesic_distances(*arguments)


@pytest.mark.parametrize("anchors", [(), (0, 5), (-1,)])
def test_anchors_that_are_no_joints(anchors):
    distances = geodesic_distances(5, LINE)
    message = f"anchors must be joints from 0 to 4, at least one; got {anchors}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        voronoi_parts(distances, anchors)
