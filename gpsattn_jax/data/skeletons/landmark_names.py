"""The names that tables of landmarks give their columns and joints."""

import re

from gpsattn_jax.data.skeletons.layout import Layout

FRAMES = ("frame", "frame_id", "frame_index", "frame_number")
TIMES = ("timestamp_ms", "time_ms", "timestamp", "time", "ms", "seconds")
LANDMARKS = (
    "landmark", "landmark_id", "landmark_index", "landmark_name", "joint", "keypoint"
)  # fmt: skip
VISIBILITIES = ("visibility", "vis", "v")

_FIELDS = {"x": "x", "y": "y", "z": "z"} | dict.fromkeys(VISIBILITIES, "v")
_WORDS = r"landmark|keypoint|joint|point|pose|lm|kp"
_ENDS = re.compile(r"(.+?)[_.\s]?(visibility|vis|[xyzv])")
_BEGINS = re.compile(r"(visibility|vis|[xyzv])[_.\s]?(.+)")
_NUMBER = re.compile(rf"(?:(?:{_WORDS})[_.\s]?)?0*(\d{{1,4}})")


def plain_name(name: str) -> str:
    """A joint's name or number as `joint_numbers` has it."""
    name = re.sub(r"[\s.-]+", "_", name.strip().lower())
    name = name.removeprefix("poselandmark_").removeprefix("handlandmark_")
    number = _NUMBER.fullmatch(name)
    return number[1] if number else name


def joint_numbers(layout: Layout) -> dict[str, int]:
    """{name or number of a joint: its place}, MediaPipe's own names included.

    MediaPipe has MOUTH_LEFT for left_mouth, and INDEX_FINGER_TIP for index_tip.
    """
    found = {str(place): place for place in range(layout.num_joints)}
    for place, joint in enumerate(layout.joints):
        name = plain_name(joint)
        side, _, rest = name.partition("_")
        found.setdefault(name, place)
        if side in ("left", "right") and rest:
            found.setdefault(f"{rest}_{side}", place)
        if side in ("index", "middle", "ring", "pinky") and rest:
            found.setdefault(f"{side}_finger_{rest}", place)
    return found


def column_parts(name: str) -> tuple[str, str] | None:
    """(joint, field x, y, z or v) of a column such as x0, v_12, NOSE_x; else None."""
    match = _BEGINS.fullmatch(name)
    if match and _NUMBER.fullmatch(match[2]):
        return plain_name(match[2]), _FIELDS[match[1]]
    match = _ENDS.fullmatch(name)
    if match and (name[len(match[1])] in "_. " or _NUMBER.fullmatch(match[1])):
        return plain_name(match[1]), _FIELDS[match[2]]
    if (match := _BEGINS.fullmatch(name)) and name[len(match[1])] in "_. ":
        return plain_name(match[2]), _FIELDS[match[1]]
    return None
