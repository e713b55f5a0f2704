"""The layouts of pose estimators: COCO's, MediaPipe's body and hand."""

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
_HAND = Layout(
    "hand21",
    (
        "wrist",
        *(f"{finger}_{part}" for finger in _FINGERS for part in _FINGERS[finger]),
    ),
    chains(*((0, *range(first, first + 4)) for first in range(1, 21, 4))),
    root=0,
    anchors=(0, 4, 8, 12, 16, 20),
)

POSES = (_COCO, _MEDIAPIPE, _HAND)
