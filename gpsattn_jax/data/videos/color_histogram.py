"""Colour histograms of frames, made as those that are stored for SumMe and TVSum.

What is known of the stored ones, `hist_shot_features` of 703 and 1,628 shots:

* Each third of the 96 numbers sums to 1, within 3e-7.
* It is one frame of each shot, at full size, and no mean of frames: in 75 of 75 videos
  all numbers are multiples of 1 / (width x height), such as 1/230,400 = 1/(640 x 360).
* No third is a hue: all three have the same form, and both black shots (all in bin 0)
  and white ones (all in bin 31) occur in all three at once. So the bins have equal
  widths, 8 of 256 levels, and the last one holds 255 too.
* Blue comes first, red last: "Fire Domino" and the kids in autumn leaves have their
  highest levels in the last third (131 to 70, 152 to 88), so have all the sandwich
  videos; "Scuba", under water, has its lowest there (36 to 109).

The script of their authors (github.com/YairShemer/ILS-SUMM, `extract_features.py`) says
the same: 32 bins over [0, 256) of each channel, divided by their sum, in the order in
which OpenCV reads; its own names for the first and the last channel are exchanged.

What could not be checked, since the videos are not at hand: which frame of a shot was
taken, and how much the JPEG files between video and histogram changed.
"""

import numpy as np

BINS = 32  # of each channel
SIZE = 3 * BINS


def color_histogram(frames: np.ndarray) -> np.ndarray:
    """Shares of pixels by level: 32 bins of blue, then of green, then of red.

    Args:
        frames: [n, H, W, 3] uint8, RGB.

    Returns:
        [n, 96] float32; each third sums to 1.

    Raises:
        ValueError: if the frames are not such.
    """
    frames = np.asarray(frames)
    shape = frames.shape
    if frames.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape[1:3]:
        raise ValueError(
            f"frames must be uint8 [n, H, W, 3]; got {frames.dtype} {shape}."
        )
    counts = [_counts(frame) for frame in frames]
    shares = np.array(counts, np.float32).reshape(-1, SIZE)
    return shares / np.float32(shape[1] * shape[2])


def _counts(frame):
    """[H, W, 3] -> [96]."""
    # Levels of all 256 first: counting bytes needs no other array of their size.
    channels = (
        np.bincount(frame[..., place].ravel(), minlength=256) for place in (2, 1, 0)
    )
    return np.concatenate([levels.reshape(BINS, -1).sum(1) for levels in channels])
