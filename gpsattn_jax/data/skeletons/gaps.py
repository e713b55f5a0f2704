"""Joints that a sensor missed: found, and filled in between those it has."""

import dataclasses

import numpy as np

from gpsattn_jax.data.skeletons.clips import Clips


def missing_joints(joints: np.ndarray) -> np.ndarray:
    """Which joints are there: [..., V, C] -> mask [..., V] bool.

    False for a joint with a coordinate that is not finite, or with zeros alone, which
    is how sensors and pose estimators say that they saw none.
    """
    return np.isfinite(joints).all(-1) & (joints != 0).any(-1)


def interpolate(joints: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fills the missing joints of one clip, linearly in time.

    Args:
        joints: [T, M, V, C].
        mask: [T, M, V]; False where a joint is missing.

    Returns:
        (joints, mask) of the same shapes. Before the first and after the last frame
        that has a joint its nearest place is taken; a joint that no frame has stays
        missing, at 0.
    """
    frames = np.arange(len(joints)).reshape(-1, 1, 1)
    last = np.maximum.accumulate(np.where(mask, frames, -1), axis=0)
    following = np.where(mask, frames, len(joints))[::-1]
    first = np.minimum.accumulate(following, axis=0)[::-1]
    before = np.where(last < 0, first, last)
    after = np.where(first == len(joints), last, first)
    found = np.broadcast_to(mask.any(0), mask.shape)
    before, after = np.where(found, before, 0), np.where(found, after, 0)
    weight = (frames - before) / np.maximum(after - before, 1)
    left = np.take_along_axis(joints, before[..., None], axis=0)
    right = np.take_along_axis(joints, after[..., None], axis=0)
    filled = left + weight[..., None].astype(joints.dtype) * (right - left)
    return np.where(found[..., None], filled, 0).astype(joints.dtype), found.copy()


def interpolated(clips: Clips) -> Clips:
    """Clips with their gaps filled, each as `interpolate` does it."""
    if clips.mask.all():
        return clips
    joints, mask = clips.joints.copy(), clips.mask.copy()
    for place in range(len(clips)):
        frames = slice(*clips.offsets[place : place + 2])
        if not mask[frames].all():
            joints[frames], mask[frames] = interpolate(joints[frames], mask[frames])
    return dataclasses.replace(clips, joints=joints, mask=mask)
