"""Clips in a cube: turned at random, then each axis moved and scaled to [-1, 1].

So CTR-GCN (arXiv 2107.12213) and its successors feed NW-UCLA. Before this they centre
a clip on a joint of its first frame and scale it by a random factor; both cancel here.
"""

from collections.abc import Sequence

import numpy as np

from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.sampling import FIRST_TURN, uniform


def min_max(
    clips: Clips,
    places: np.ndarray,
    joints: np.ndarray,
    mask: np.ndarray,
    turns: np.ndarray | None = None,
) -> np.ndarray:
    """Frames of clips, scaled so that each axis of each whole clip is in [-1, 1].

    Args:
        clips: what the frames are of; only joints that are there count.
        places: [k], the clips.
        joints: [k, T, M, V, C], some of their frames, or frames between them.
        mask: [k, T, M, V].
        turns: optional rotations [k, C, C], before all else.

    Returns:
        [k, T, M, V, C], 0 where the mask is False, and along an axis on which all
        joints of a clip are equal.
    """
    found = np.empty_like(joints)
    for row, place in enumerate(places):
        whole, present = clips.clip(int(place))
        whole, own = whole[present], joints[row]
        if turns is not None:
            whole, own = whole @ turns[row].T, own @ turns[row].T
        low, high = whole.min(0), whole.max(0)
        scale = 2 / np.where(high > low, high - low, 2)
        found[row] = (own - (low + high) / 2) * scale
    return found * mask[..., None]


def random_turns(
    seeds: np.ndarray, degrees: Sequence[float], dimensions: int
) -> np.ndarray:
    """Rotations about x, then y, then z; of flat joints about z alone.

    Args:
        seeds: [k].
        degrees: the angles about x, y and z are uniform in [-degrees, degrees].
        dimensions: C, 2 or 3.

    Returns:
        [k, C, C] float32, for columns.
    """
    turn = np.broadcast_to(np.eye(3), (len(seeds), 3, 3))
    for axis, most in enumerate(degrees):
        angles = np.deg2rad(most) * (2 * uniform(seeds, FIRST_TURN + axis) - 1)
        if dimensions == 3 or axis == 2:
            turn = _about(axis, angles) @ turn
    return turn[:, :dimensions, :dimensions].astype(np.float32)


def _about(axis, angles):
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn = np.tile(np.eye(3), (len(angles), 1, 1))
    turn[:, first, first] = turn[:, second, second] = np.cos(angles)
    turn[:, second, first] = np.sin(angles)
    turn[:, first, second] = -turn[:, second, first]
    return turn
