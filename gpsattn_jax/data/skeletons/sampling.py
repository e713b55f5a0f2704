"""Which frames of clips a batch has: numbers of frames, drawn from seeds."""

import numpy as np

FRAMES = ("resize", "draw")


def resized(
    lengths: np.ndarray,
    seeds: np.ndarray | None,
    num_frames: int,
    crop: tuple[float, float],
) -> np.ndarray:
    """Fractional frame numbers, evenly spaced.

    Args:
        lengths: [k], frames of each clip.
        seeds: [k], from which a part of each clip is drawn; None for all of it.
        num_frames: T.
        crop: least and greatest share of a clip's frames that is drawn.

    Returns:
        [k, T].
    """
    start, taken = _part(lengths, seeds, crop)
    steps = np.linspace(0.0, 1.0, num_frames) if num_frames > 1 else 0.5
    return start[:, None] + (taken - 1.0)[:, None] * np.atleast_1d(steps)


def drawn(
    lengths: np.ndarray,
    seeds: np.ndarray | None,
    num_frames: int,
    crop: tuple[float, float],
) -> np.ndarray:
    """Whole frame numbers: drawn with replacement, and sorted; evenly without seeds.

    So do CTR-GCN (arXiv 2107.12213) and its successors on NW-UCLA.

    Args:
        lengths: as in `resized`, like all others.
        seeds: likewise.
        num_frames: likewise.
        crop: likewise; frames are drawn of this part.

    Returns:
        [k, T].
    """
    if seeds is None:
        evenly = np.linspace(0.0, 1.0, num_frames)
        return np.floor((lengths - 1)[:, None] * evenly)
    start, taken = _part(lengths, seeds, crop)
    shares = np.stack([uniform(seeds, FIRST_FRAME + t) for t in range(num_frames)], 1)
    return np.floor(start[:, None] + taken[:, None] * np.sort(shares, axis=1))


# Numbers of the draws of a seed: part and turns of the clip, then one for each frame.
LENGTH, START, FIRST_TURN, FIRST_FRAME = 0, 1, 2, 5


def uniform(seeds: np.ndarray, draw: int) -> np.ndarray:
    """Numbers in [0, 1), each a function of its seed and of the draw's number.

    SplitMix64 (Steele, Lea and Flood 2014) as a hash: a thousand times cheaper than a
    generator for each seed.
    """
    with np.errstate(over="ignore"):
        state = np.asarray(seeds).astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
        state += np.uint64(draw + 1) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _part(lengths, seeds, crop):
    """(first frame [k], how many frames [k]), fractional."""
    taken = lengths.astype(np.float64)
    if seeds is None:
        return np.zeros(len(lengths)), taken
    low, high = crop
    taken = np.maximum(taken * (low + (high - low) * uniform(seeds, LENGTH)), 1.0)
    return (lengths - taken) * uniform(seeds, START), taken
