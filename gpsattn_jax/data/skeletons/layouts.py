"""Named skeleton layouts, and a user's own from a small file."""

import os

from gpsattn_jax.data.skeletons.layout import Layout, chains, sided
from gpsattn_jax.data.skeletons.layout_files import read_layout
from gpsattn_jax.data.skeletons.layout_of_whole_body import WHOLE_BODY
from gpsattn_jax.data.skeletons.layouts_of_poses import POSES

# Kinect v1's 20 joints. Bones, order and sides of NW-UCLA and UTKinect were compared
# with the coordinates: true bones keep their length, left ones equal right ones.
_KINECT = (
    "hip_center", "spine", "shoulder_center", "head",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot",
    "right_hip", "right_knee", "right_ankle", "right_foot",
)  # fmt: skip
_KINECT_EDGES = chains(
    (0, 1, 2, 3),
    (2, 4, 5, 6, 7),
    (2, 8, 9, 10, 11),
    (0, 12, 13, 14, 15),
    (0, 16, 17, 18, 19),
)
_KINECT_MIRROR = (*zip(range(4, 8), range(8, 12), strict=True),) + (
    *zip(range(12, 16), range(16, 20), strict=True),
)


def _kinect(name):
    anchors = (1, 3, 7, 11, 15, 19)
    return Layout(name, _KINECT, _KINECT_EDGES, 1, _KINECT_MIRROR, anchors)


_NTU = Layout(
    "ntu25",
    (
        "spine_base", "spine_mid", "neck", "head",
        *_KINECT[4:20],
        "spine_shoulder",
        "left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb",
    ),
    chains(
        (0, 1, 20, 2, 3),
        (20, 4, 5, 6, 7, 21),
        (20, 8, 9, 10, 11, 23),
        (7, 22),
        (11, 24),
        (0, 12, 13, 14, 15),
        (0, 16, 17, 18, 19),
    ),
    root=1,
    mirror=(*_KINECT_MIRROR, (21, 23), (22, 24)),
    anchors=(1, 3, 7, 11, 15, 19),
)  # fmt: skip

# Its sides: known from the one-armed actions, which are done with the right arm.
_MSR = Layout(
    "msr20",
    (
        "left_shoulder", "right_shoulder", "neck", "spine", "left_hip", "right_hip",
        "hip_center", *sided("elbow", "wrist", "hand", "knee", "ankle", "foot"),
        "head",
    ),
    chains(
        (6, 3, 2, 19),
        (2, 0, 7, 9, 11),
        (2, 1, 8, 10, 12),
        (6, 4, 13, 15, 17),
        (6, 5, 14, 16, 18),
    ),
    root=6,
    mirror=tuple((a, a + 1) for a in (0, 4, 7, 9, 11, 13, 15, 17)),
    anchors=(6, 19, 11, 12, 17, 18),
)  # fmt: skip

_FLORENCE = Layout(
    "florence15",
    (
        "head", "neck", "spine",
        "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
        "left_hip", "left_knee", "left_ankle",
        "right_hip", "right_knee", "right_ankle",
    ),
    chains(
        (2, 1, 0),
        (1, 3, 4, 5),
        (1, 6, 7, 8),
        (2, 9, 10, 11),
        (2, 12, 13, 14),
    ),
    root=2,
    mirror=((3, 6), (4, 7), (5, 8), (9, 12), (10, 13), (11, 14)),
    anchors=(2, 0, 5, 8, 11, 14),
)  # fmt: skip

_JHMDB = Layout(
    "jhmdb15",
    (
        "neck", "belly", "face", "right_shoulder", "left_shoulder", "right_hip",
        "left_hip", "right_elbow", "left_elbow", "right_knee", "left_knee",
        "right_wrist", "left_wrist", "right_ankle", "left_ankle",
    ),
    chains(
        (1, 0, 2),
        (0, 3, 7, 11),
        (0, 4, 8, 12),
        (1, 5, 9, 13),
        (1, 6, 10, 14),
    ),
    root=1,
    mirror=tuple((a + 1, a) for a in (3, 5, 7, 9, 11, 13)),
    anchors=(1, 2, 12, 11, 14, 13),
)  # fmt: skip

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        _NTU,
        _kinect("nw_ucla20"),
        _MSR,
        _kinect("utkinect20"),
        _FLORENCE,
        _JHMDB,
        *POSES,
        WHOLE_BODY,
    )
}


def load_layout(source: str | os.PathLike) -> Layout:
    """A layout by name, or from a user's file.

    Args:
        source: a name of `LAYOUTS`, a `.json` file, or a text file of edges; see
            `read_layout`.

    Raises:
        FileNotFoundError: if it is neither a name nor a file; lists the names.
        ValueError: names the file, the field and what is wrong with it.
    """
    if str(source) in LAYOUTS:
        return LAYOUTS[str(source)]
    if not os.path.isfile(source):
        raise FileNotFoundError(
            f"layout must be a file or one of {', '.join(LAYOUTS)}; got '{source}'."
        )
    return read_layout(source)
