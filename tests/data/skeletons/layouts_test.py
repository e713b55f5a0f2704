"""Skeleton graphs: the published shells, symmetry, real bones, and a user's own."""

import json
import time

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.layouts import LAYOUTS, load_layout
from gpsattn_jax.data.skeletons.sets import SETS, load

# Joint numbers as in each set: (first number, diameter, shells).
SHELLS = {
    "ntu25": (1, 11, [
        {2}, {1, 21}, {3, 5, 9, 13, 17}, {4, 6, 10, 14, 18}, {7, 11, 15, 19},
        {8, 12, 16, 20}, {22, 23, 24, 25},
    ]),
    "nw_ucla20": (1, 10, [
        {2}, {1, 3}, {4, 5, 9, 13, 17}, {6, 10, 14, 18}, {7, 11, 15, 19},
        {8, 12, 16, 20},
    ]),
    "utkinect20": (1, 10, [
        {2}, {1, 3}, {4, 5, 9, 13, 17}, {6, 10, 14, 18}, {7, 11, 15, 19},
        {8, 12, 16, 20},
    ]),
    "msr20": (1, 10, [
        {7}, {4, 5, 6}, {3, 14, 15}, {1, 2, 16, 17, 20}, {8, 9, 18, 19}, {10, 11},
        {12, 13},
    ]),
    "florence15": (1, 7, [
        {3}, {2, 10, 13}, {1, 4, 7, 11, 14}, {5, 8, 12, 15}, {6, 9},
    ]),
    "jhmdb15": (0, 7, [
        {1}, {0, 5, 6}, {2, 3, 4, 9, 10}, {7, 8, 13, 14}, {11, 12},
    ]),
    "coco17": (0, 8, [
        {0}, {1, 2, 5, 6}, {3, 4, 7, 8, 11, 12}, {9, 10, 13, 14}, {15, 16},
    ]),
    "mediapipe33": (0, 10, [
        {0}, {1, 4, 9, 10, 11, 12}, {2, 5, 13, 14, 23, 24}, {3, 6, 15, 16, 25, 26},
        {7, 8, 17, 18, 19, 20, 21, 22, 27, 28}, {29, 30, 31, 32},
    ]),
    "hand21": (0, 8, [
        {0}, {1, 5, 9, 13, 17}, {2, 6, 10, 14, 18}, {3, 7, 11, 15, 19},
        {4, 8, 12, 16, 20},
    ]),
    "openpose18": (0, 8, [
        {1}, {0, 2, 5}, {3, 6, 8, 11, 14, 15}, {4, 7, 9, 12, 16, 17}, {10,
        13},
    ]),
    "openpose25": (0, 10, [
        {8}, {1, 9, 12}, {0, 2, 5, 10, 13}, {3, 6, 11, 14, 15, 16}, {4, 7, 17,
        18, 19, 21, 22, 24}, {20, 23},
    ]),
    "halpe26": (0, 12, [
        {19}, {11, 12, 18}, {0, 5, 6, 13, 14, 17}, {1, 2, 7, 8, 15, 16}, {3,
        4, 9, 10, 24, 25}, {20, 21}, {22, 23},
    ]),
    "h36m17": (0, 8, [
        {0}, {1, 4, 7}, {2, 5, 8}, {3, 6, 9, 11, 14}, {10, 12, 15}, {13, 16},
    ]),
    "smpl24": (0, 12, [
        {0}, {1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12, 13, 14}, {15, 16,
        17}, {18, 19}, {20, 21}, {22, 23},
    ]),
    "coco_wholebody133": (0, 23, [
        {0}, {1, 2, 5, 6, 53}, {3, 4, 7, 8, 11, 12, 52, 56}, {9, 10, 13, 14,
        51, 55, 57, 74}, {15, 16, 50, 54, 58, 73, 75, 85, 91, 112}, {17, 18,
        19, 20, 21, 22, 44, 45, 62, 65, 72, 76, 84, 86, 89, 92, 96, 100, 104,
        108, 113, 117, 121, 125, 129}, {43, 46, 61, 63, 66, 70, 71, 77, 80,
        83, 87, 93, 97, 101, 105, 109, 114, 118, 122, 126, 130}, {31, 42, 47,
        60, 64, 67, 69, 78, 82, 88, 90, 94, 98, 102, 106, 110, 115, 119, 123,
        127, 131}, {30, 32, 41, 48, 59, 68, 79, 81, 95, 99, 103, 107, 111,
        116, 120, 124, 128, 132}, {29, 33, 40, 49}, {28, 34}, {27, 35}, {26,
        36}, {25, 37}, {24, 38}, {23, 39},
    ]),
}  # fmt: skip


def line(**fields):
    """Three joints in a row."""
    given = {"name": "line", "joints": ("a", "b", "c"), "edges": ((0, 1), (1, 2))}
    return Layout(**(given | {"root": 1} | fields))


def test_every_layout_has_its_shells():
    assert set(SHELLS) == set(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_shells_and_diameter(name):
    layout, (first, diameter, shells) = LAYOUTS[name], SHELLS[name]
    steps = np.array(layout.steps_from(layout.root))
    found = [set(np.flatnonzero(steps == i) + first) for i in range(steps.max() + 1)]
    assert found == shells
    joints = range(layout.num_joints)
    assert max(max(layout.steps_from(joint)) for joint in joints) == diameter
    assert len(layout.edges) == layout.num_joints - 1  # no rings


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_mirror_keeps_bones_root_anchors_and_names(layout):
    turned = list(range(layout.num_joints))
    for left, right in layout.mirror:
        turned[left], turned[right] = right, left
        assert layout.joints[left].startswith("left_")
        assert layout.joints[right] == layout.joints[left].replace("left", "right")
    bones = {frozenset(edge) for edge in layout.edges}
    assert {frozenset((turned[a], turned[b])) for a, b in layout.edges} == bones
    assert turned[layout.root] == layout.root
    assert {turned[joint] for joint in layout.anchors} == set(layout.anchors)
    sided = [name for name in layout.joints if name.startswith(("left_", "right_"))]
    assert len(sided) == 2 * len(layout.mirror)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_parents_lead_to_the_root(layout):
    steps = layout.steps_from(layout.root)
    for joint, parent in enumerate(layout.parents):
        if joint == layout.root:
            assert parent == joint
        else:
            assert steps[parent] == steps[joint] - 1
            assert parent in layout.neighbours[joint]


def bone_lengths(name, folder):
    """Median length of every joint's bone to its parent, and its relative spread."""
    clips, _ = load(name, folder)
    whole = clips.joints[clips.mask.all((1, 2)), 0]
    bones = np.linalg.norm(whole - whole[:, list(clips.layout.parents)], axis=-1)
    middle = np.median(bones, axis=0)
    spread = np.median(np.abs(bones - middle), axis=0)
    return clips.layout, middle, spread / np.maximum(middle, 1e-9)


@pytest.mark.parametrize("name", SETS)
def test_real_bones_keep_their_length_and_left_equals_right(name, data_dir):
    layout, length, spread = bone_lengths(name, data_dir)
    # The pictures of JHMDB foreshorten; MSR's depth camera guessed the belly.
    most = {"jhmdb14": 0.26, "msr_action3d": 0.3}.get(name, 0.18)
    bones = [joint for joint in range(layout.num_joints) if joint != layout.root]
    assert spread[bones].max() < most
    for left, right in layout.mirror:
        assert length[left] == pytest.approx(length[right], rel=0.06)


@pytest.mark.parametrize(
    "name, label", [("msr_action3d", 5), ("utkinect", 5), ("jhmdb14", 11)]
)
def test_people_throw_with_the_right_hand(name, label, data_dir):
    clips, _ = load(name, data_dir)
    joints = clips.layout.joints
    ends = "wrist" if name == "jhmdb14" else "hand"
    places = [joints.index(f"{side}_{ends}") for side in ("left", "right")]
    rights = []
    for clip in np.flatnonzero(clips.labels == label):
        frames = clips.clip(clip)[0][:, 0]
        way = np.ptp(frames[:, places] - frames[:, [clips.layout.root]], axis=0).sum(-1)
        rights.append(way[1] > way[0])
    assert "throw" in clips.class_names[label]
    assert np.mean(rights) > 0.8


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"joints": ()}, "line: joints must not be empty"),
        ({"joints": ("a", "b", "a")}, "line: joints must differ in name; got 'a'"),
        ({"root": 3}, r"line: root must be joints 0\.\.2; got 3"),
        ({"root": -1}, r"line: root must be joints 0\.\.2; got -1"),
        ({"edges": ((0, 1), (1, 3))}, r"line: edges must be joints 0\.\.2; got 3"),
        ({"edges": ((0, 1), (1, 1), (1, 2))}, r"edges must be pairs .* \(1, 1\)"),
        ({"edges": ((0, 1), (1, 2), (1, 0))}, r"edges must differ; got \(0, 1\) twice"),
        ({"edges": ((0, 1),)}, r"edges must connect all 3 joints .* no way to \[2\]"),
        ({"mirror": ((0, 2), (2, 1))}, "mirror must name a joint once; got 2"),
        ({"mirror": ((0, 4),)}, r"mirror must be joints 0\.\.2; got 4"),
        ({"anchors": (0, 0)}, "anchors must name a joint once; got 0"),
        ({"anchors": (5,)}, r"anchors must be joints 0\.\.2; got 5"),
    ],
)
def test_a_wrong_layout_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        line(**fields)


def test_a_ring_has_the_lower_parent():
    ring = Layout("ring", ("a", "b", "c", "d"), ((0, 1), (0, 2), (1, 3), (2, 3)), 0)
    assert ring.parents == (0, 0, 0, 1)


def test_a_name_or_a_file(tmp_path):
    assert load_layout("ntu25") is LAYOUTS["ntu25"]
    with pytest.raises(FileNotFoundError, match="one of ntu25, nw_ucla20.*got 'ntu26'"):
        load_layout("ntu26")
    path = tmp_path / "own.json"
    given = {
        "name": "own",
        "joints": ["hip", "left knee", "right knee"],
        "edges": [[0, 1], ["hip", "right knee"]],
        "root": "hip",
        "mirror": [["left knee", 2]],
        "anchors": ["right knee"],
    }
    path.write_text(json.dumps(given))
    joints = ("hip", "left knee", "right knee")
    own = Layout("own", joints, ((0, 1), (0, 2)), 0, ((1, 2),), (2,))
    assert load_layout(path) == load_layout(str(path)) == own


@pytest.mark.parametrize(
    "text, joints, root",
    [
        ("0 1 # a bone\n\n1 2\n2 3\n3 4\n", 5, 2),
        ("# words\nhead, neck\nneck belly\n", ("head", "neck", "belly"), 1),
    ],
)
def test_a_list_of_edges_finds_its_middle(tmp_path, text, joints, root):
    path = tmp_path / "worm.txt"
    path.write_text(text)
    worm = load_layout(path)
    expected = joints if isinstance(joints, tuple) else 5
    assert (worm.joints if isinstance(joints, tuple) else worm.num_joints) == expected
    assert (worm.name, worm.root) == ("worm", root)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.json", "{", "must be JSON"),
        ("a.json", "[]", 'must be an object with "edges"'),
        ("a.json", '{"edges": [[0, 1]], "bones": 1}', "fields must be .* got 'bones'"),
        ("a.json", '{"edges": [[0, 1, 2]]}', "edges must be a list of pairs"),
        ("a.json", '{"edges": [[0, 1.5]]}', "edges must be a list of pairs"),
        ("a.json", '{"edges": [[0, "hip"]]}', "edges must be joints; got 'hip'"),
        ("a.json", '{"edges": [[0, 1]], "root": 7}', r"root must be joints 0\.\.1"),
        ("a.json", '{"edges": [[0, 1]], "joints": [1, 2]}', "joints must be a list"),
        ("a.json", '{"edges": [[0, 1]], "name": 3}', "name must be a text"),
        ("a.json", '{"edges": [[0, 1]], "anchors": 3}', "anchors must be a list"),
        ("a.json", '{"edges": [[0, 999999999]]}', "edges must"),
        ("a.json", '{"edges": []}', "joints must not be empty"),
        ("a.json", b"\xff\xfe", "must be UTF-8"),
        ("a.txt", "0 1\n0 1 2\n", "line 2 must be two joints; got '0 1 2'"),
        ("a.txt", "0 1\n2 3\n", "edges must connect all 4 joints"),
        ("a.txt", "# nothing\n", "joints must not be empty"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        load_layout(path)
    assert str(caught.value).startswith(f"{path}: ")


EDGES_FROM_1 = "1 2\n2 3\n3 4\n"


def test_edges_that_count_from_1_get_a_hint(tmp_path):
    (tmp_path / "a.txt").write_text(EDGES_FROM_1)
    with pytest.raises(ValueError, match="Joints count from 0, and these edges name 1"):
        load_layout(tmp_path / "a.txt")
    content = {"edges": [[1, 2], [2, 3]], "joints": ["a", "b", "c"]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="got 3. Joints count .* take 1 off each"):
        load_layout(tmp_path / "a.json")
    (tmp_path / "a.txt").write_text("0 1\n2 3\n")
    with pytest.raises(ValueError, match=r"no way to \[2, 3\]\.$"):
        load_layout(tmp_path / "a.txt")


def test_a_long_chain_finds_its_middle_at_once(tmp_path):
    count = 10_000
    edges = [[joint, joint + 1] for joint in range(count - 1)]
    (tmp_path / "chain.json").write_text(json.dumps({"edges": edges}))
    start = time.perf_counter()
    chain = load_layout(tmp_path / "chain.json")
    assert chain.root == count // 2 - 1  # the lower one of two
    assert time.perf_counter() - start < 5
    ring = [*edges, [0, count - 1]]
    (tmp_path / "chain.json").write_text(json.dumps({"edges": ring}))
    with pytest.raises(ValueError, match=r"chain\.json: root must be given"):
        load_layout(tmp_path / "chain.json")


@pytest.mark.parametrize("seed", range(20))
def test_the_middle_of_a_tree_is_the_joint_of_least_eccentricity(tmp_path, seed):
    draw = np.random.default_rng(seed)
    count = int(draw.integers(2, 30))
    edges = [[int(draw.integers(joint)), joint] for joint in range(1, count)]
    (tmp_path / "tree.json").write_text(json.dumps({"edges": edges}))
    tree = load_layout(tmp_path / "tree.json")
    farthest = [max(tree.steps_from(joint)) for joint in range(count)]
    assert tree.root == farthest.index(min(farthest))


@pytest.mark.parametrize(
    "content",
    [
        '{"edges": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"edges": [[0, 1]], "root": {"a": [[[[]]]]}}',
        '{"edges": [[0, 1]], "mirror": [[0, [1]]]}',
        '{"edges": [[0, 1]], "anchors": [[0]]}',
        '{"edges": [[0, true]]}',
        '{"edges": [[0, ' + "9" * 4000 + "]]}",
        '{"edges": [[0, 1]], "joints": ["' + "a" * 100_000 + '", 3]}',
    ],
)
def test_odd_files_raise_short_errors(tmp_path, content):
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(ValueError, match=r"odd\.json: ") as caught:
        load_layout(tmp_path / "odd.json")
    assert len(str(caught.value)) < 500
