"""Clips of any length, persons and gaps -> `Clips`."""

from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import missing_joints
from gpsattn_jax.data.skeletons.layout import Layout

UNKNOWN = "unknown"  # the class of a clip that is yet to be recognised


def join_clips(
    arrays: Sequence[np.ndarray],
    *,
    labels: Sequence[int] | np.ndarray,
    names: Sequence[str],
    class_names: Sequence[str],
    layout: Layout,
    masks: Sequence[np.ndarray | None] | None = None,
    groups: np.ndarray | None = None,
) -> Clips:
    """Puts clips together; absent persons and missing joints are masked and set to 0.

    Args:
        arrays: of each clip [T, V, C] or [T, M, V, C]; C is the same for all, M and T
            may vary.
        labels: [n] places in `class_names`.
        names: of the clips; errors name them.
        class_names: of the labels.
        layout: of the joints.
        masks: for each clip None or [T, V] or [T, M, V], False where a joint is
            missing. Without one, joints at zero are missing (see `missing_joints`).
        groups: optional [n], the persons who acted.

    Raises:
        ValueError: names the clip that does not fit, or that holds no joint at all.
    """
    given = [None] * len(arrays) if masks is None else masks
    pairs = [
        check_clip(name, array, mask, layout)
        for name, array, mask in zip(names, arrays, given, strict=True)
    ]
    _check_dimensions(names, pairs)
    persons = max((mask.shape[1] for _, mask in pairs), default=1)
    dimensions = pairs[0][0].shape[-1] if pairs else 3
    offsets = np.concatenate([[0], np.cumsum([len(mask) for _, mask in pairs])])
    shape = (int(offsets[-1]), persons, layout.num_joints)
    joints = np.zeros((*shape, dimensions), np.float32)
    present = np.zeros(shape, bool)
    for start, (array, mask) in zip(offsets, pairs, strict=False):
        place = slice(int(start), int(start) + len(mask)), slice(mask.shape[1])
        joints[place], present[place] = array, mask
    if masks is None:
        present = _with_origin(present, arrays, layout.root)
    return Clips(
        joints,
        present,
        offsets.astype(np.int64),
        np.asarray(labels, np.int32),
        tuple(names),
        tuple(class_names),
        layout,
        groups,
    )


def check_clip(
    name: str, array: np.ndarray, mask: np.ndarray | None, layout: Layout
) -> tuple[np.ndarray, np.ndarray]:
    """One clip as [T, M, V, C] float32, 0 where its mask [T, M, V] is False.

    Args:
        name: of the clip.
        array: [T, V, C] or [T, M, V, C].
        mask: [T, V] or [T, M, V]; None where joints at zero are missing.
        layout: of the joints.

    Raises:
        ValueError: names the clip and what is wrong with it.
    """
    if array.ndim not in (3, 4) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: joints must be numbers [T, V, C] or [T, M, V, C]; "
            f"got {array.shape} {array.dtype}."
        )
    if array.shape[-2] != layout.num_joints:
        raise ValueError(
            f"{name}: must have the {layout.num_joints} joints of layout {layout.name};"
            f" got {array.shape[-2]} in {array.shape}."
        )
    array = array[:, None] if array.ndim == 3 else array
    for axis, things in ((0, "frames"), (1, "persons"), (3, "coordinates")):
        if not array.shape[axis]:
            raise ValueError(f"{name}: must have {things}; got none.")
    with np.errstate(all="ignore"):  # what is not finite is masked
        array = array.astype(np.float32)
    if mask is None:
        mask = missing_joints(array)
    else:
        if mask.size != array[..., 0].size or len(mask) != len(array):
            raise ValueError(
                f"{name}: mask must be {array.shape[:3]}; got {mask.shape}."
            )
        mask = mask.reshape(array.shape[:3]).astype(bool) & np.isfinite(array).all(-1)
    if not mask.any():
        raise ValueError(
            f"{name}: must have joints; got none that is finite and not zero."
        )
    return np.where(mask[..., None], array, np.float32(0)), mask


def _check_dimensions(names, pairs):
    sizes = [array.shape[-1] for array, _ in pairs]
    for name, size in zip(names, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"{name}: must have {sizes[0]} coordinates a joint, as {names[0]}; "
                f"got {size}."
            )


def _with_origin(present, arrays, root):
    """A root that is at zero in all frames of all clips was made the origin."""
    at_zero = all((np.asarray(array)[..., root, :] == 0).all() for array in arrays)
    if not at_zero:
        return present
    present = present.copy()
    present[:, :, root] = present.any(-1)
    return present
