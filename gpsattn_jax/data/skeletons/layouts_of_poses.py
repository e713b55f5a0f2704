"""The layouts of pose estimators and body models, and of MediaPipe's hand."""

from gpsattn_jax.data.skeletons.layout import Layout, chains, sided

_COCO = Layout(
    "coco17",
    (
        "nose",
        *sided("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    ),
    chains(
        (0, 1, 3),
        (0, 2, 4),
        (0, 5, 7, 9),
        (0, 6, 8, 10),
        (5, 11, 13, 15),
        (6, 12, 14, 16),
    ),
    root=0,
    mirror=tuple((a, a + 1) for a in range(1, 17, 2)),
    anchors=(0, 9, 10, 15, 16),
)

# The landmarks' own connections, without those that close rings, and the nose as
# neck: MediaPipe leaves face, mouth and body apart.
_MEDIAPIPE = Layout(
    "mediapipe33",
    (
        "nose", "left_eye_inner", "left_eye", "left_eye_outer",
        "right_eye_inner", "right_eye", "right_eye_outer",
        *sided("ear", "mouth", "shoulder", "elbow", "wrist", "pinky", "index",
                "thumb", "hip", "knee", "ankle", "heel", "foot_index"),
    ),
    chains(
        (0, 1, 2, 3, 7),
        (0, 4, 5, 6, 8),
        (0, 9),
        (0, 10),
        (0, 11, 13, 15, 17),
        (0, 12, 14, 16, 18),
        (15, 19), (15, 21), (16, 20), (16, 22),
        (11, 23, 25, 27, 29),
        (12, 24, 26, 28, 30),
        (27, 31), (28, 32),
    ),
    root=0,
    mirror=((1, 4), (2, 5), (3, 6), *((a, a + 1) for a in range(7, 33, 2))),
    anchors=(0, 15, 16, 27, 28),
)  # fmt: skip

_FINGERS = {
    "thumb": ("cmc", "mcp", "ip", "tip"),
    **dict.fromkeys(("index", "middle", "ring", "pinky"), ("mcp", "pip", "dip", "tip")),
}
HAND = Layout(
    "hand21",
    (
        "wrist",
        *(f"{finger}_{part}" for finger in _FINGERS for part in _FINGERS[finger]),
    ),
    chains(*((0, *range(first, first + 4)) for first in range(1, 21, 4))),
    root=0,
    anchors=(0, 4, 8, 12, 16, 20),
)

# OpenPose's COCO and BODY_25 models. The bones are those of its own drawings, but of
# the 18 joints hips hang on shoulders, as st-gcn has it: there is no middle of the hip.
_OPENPOSE_18 = Layout(
    "openpose18",
    (
        "nose", "neck",
        "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    chains(
        (1, 0, 14, 16),
        (0, 15, 17),
        (1, 2, 3, 4),
        (1, 5, 6, 7),
        (2, 8, 9, 10),
        (5, 11, 12, 13),
    ),
    root=1,
    mirror=((5, 2), (6, 3), (7, 4), (11, 8), (12, 9), (13, 10), (15, 14), (17, 16)),
    anchors=(1, 0, 7, 4, 13, 10),
)  # fmt: skip

_OPENPOSE_25 = Layout(
    "openpose25",
    (
        "nose", "neck",
        "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist",
        "mid_hip",
        "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
        "left_big_toe", "left_small_toe", "left_heel",
        "right_big_toe", "right_small_toe", "right_heel",
    ),
    chains(
        (8, 1, 0, 15, 17),
        (0, 16, 18),
        (1, 2, 3, 4),
        (1, 5, 6, 7),
        (8, 9, 10, 11, 22, 23),
        (8, 12, 13, 14, 19, 20),
        (11, 24),
        (14, 21),
    ),
    root=8,
    mirror=(
        (5, 2), (6, 3), (7, 4), (12, 9), (13, 10), (14, 11), (16, 15), (18, 17),
        (19, 22), (20, 23), (21, 24),
    ),
    anchors=(8, 0, 7, 4, 14, 11),
)  # fmt: skip

_HALPE = Layout(
    "halpe26",
    (
        "nose",
        *sided("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
        "head", "neck", "hip",
        *sided("big_toe", "small_toe", "heel"),
    ),
    chains(
        (19, 18, 17),
        (18, 0, 1, 3),
        (0, 2, 4),
        (18, 5, 7, 9),
        (18, 6, 8, 10),
        (19, 11, 13, 15, 24, 20, 22),
        (19, 12, 14, 16, 25, 21, 23),
    ),
    root=19,
    mirror=(
        *((a, a + 1) for a in range(1, 17, 2)), (20, 21), (22, 23), (24, 25)
    ),
    anchors=(19, 17, 9, 10, 15, 16),
)  # fmt: skip

_H36M = Layout(
    "h36m17",
    (
        "pelvis", "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle",
        "spine", "thorax", "neck", "head",
        "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
    ),
    chains(
        (0, 1, 2, 3),
        (0, 4, 5, 6),
        (0, 7, 8, 9, 10),
        (8, 11, 12, 13),
        (8, 14, 15, 16),
    ),
    root=0,
    mirror=((4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16)),
    anchors=(0, 10, 13, 16, 6, 3),
)  # fmt: skip

_SMPL = Layout(
    "smpl24",
    (
        "pelvis", "left_hip", "right_hip", "spine_1", "left_knee", "right_knee",
        "spine_2", "left_ankle", "right_ankle", "spine_3", "left_foot", "right_foot",
        "neck", "left_collar", "right_collar", "head",
        *sided("shoulder", "elbow", "wrist", "hand"),
    ),
    chains(
        (0, 1, 4, 7, 10),
        (0, 2, 5, 8, 11),
        (0, 3, 6, 9, 12, 15),
        (9, 13, 16, 18, 20, 22),
        (9, 14, 17, 19, 21, 23),
    ),
    root=0,
    mirror=(
        (1, 2), (4, 5), (7, 8), (10, 11), (13, 14),
        *((a, a + 1) for a in range(16, 24, 2)),
    ),
    anchors=(0, 15, 22, 23, 10, 11),
)  # fmt: skip

BODY = _COCO
POSES = (
    _COCO, _MEDIAPIPE, HAND, _OPENPOSE_18, _OPENPOSE_25, _HALPE, _H36M, _SMPL
)  # fmt: skip
