"""COCO-WholeBody's layout: body, feet, face and hands, 133 joints."""

from gpsattn_jax.data.skeletons.layout import Layout, chains
from gpsattn_jax.data.skeletons.layouts_of_poses import BODY, HAND

_FACE, _LEFT_HAND, _RIGHT_HAND = 23, 91, 112  # the first joint of each
_FEET = ("big_toe", "small_toe", "heel")

# Within the face's 68 points, numbered as in iBUG's 300-W: (left, right) pairs. A point
# in none of them lies in the middle.
_FACE_PAIRS = (
    *((16 - i, i) for i in range(8)),  # jaw
    *((26 - i, 17 + i) for i in range(5)),  # brows
    (35, 31), (34, 32),  # nostrils
    (45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41),  # eyes
    (54, 48), (53, 49), (52, 50), (55, 59), (56, 58),  # outer lips
    (64, 60), (63, 61), (65, 67),  # inner lips
)  # fmt: skip
# Rings are left open at the side, or in the middle, so that a mirror keeps the bones.
_FACE_CHAINS = (
    tuple(range(17)),
    (27, 28, 29, 30, 33),
    (33, 32, 31), (33, 34, 35),
    (27, 21, 20, 19, 18, 17), (27, 22, 23, 24, 25, 26),
    (36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46),
    (27, 39), (27, 42),
    (33, 51, 50, 49, 48, 59, 58), (51, 52, 53, 54, 55, 56),
    (51, 62, 66, 57, 8),
    (62, 61, 60, 67), (62, 63, 64, 65),
)  # fmt: skip


def _face_names():
    names = [f"face_{i}" for i in range(68)]
    for left, right in _FACE_PAIRS:
        names[left], names[right] = f"left_face_{right}", f"right_face_{right}"
    return names


def _shifted(groups, first):
    return tuple(tuple(first + joint for joint in group) for group in groups)


WHOLE_BODY = Layout(
    "coco_wholebody133",
    (
        *BODY.joints,
        *(f"{side}_{part}" for side in ("left", "right") for part in _FEET),
        *_face_names(),
        *(
            f"{side}_hand_{joint}"
            for side in ("left", "right")
            for joint in HAND.joints
        ),
    ),
    (
        *BODY.edges,
        *chains((15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22)),
        (0, _FACE + 30),
        *chains(*_shifted(_FACE_CHAINS, _FACE)),
        (9, _LEFT_HAND),
        (10, _RIGHT_HAND),
        *_shifted(HAND.edges, _LEFT_HAND),
        *_shifted(HAND.edges, _RIGHT_HAND),
    ),
    root=BODY.root,
    mirror=(
        *BODY.mirror,
        *((17 + i, 20 + i) for i in range(3)),
        *_shifted(_FACE_PAIRS, _FACE),
        *((_LEFT_HAND + i, _RIGHT_HAND + i) for i in range(21)),
    ),
    anchors=BODY.anchors,
)
