"""From scores of time steps to a summary of whole shots, as SumMe and TVSum do it."""

import numpy as np

from gpsattn_jax.evaluation.knapsack import knapsack


def summarize(
    scores: np.ndarray,
    shots: np.ndarray,
    picks: np.ndarray,
    num_frames: int,
    budget: float = 0.15,
) -> np.ndarray:
    """The shots of largest mean score that fit into a share of the video.

    The protocol of SumMe and TVSum, in its own arithmetic: frame scores in float32, the
    budget a part of the frames up to the last shot's end, rounded down.

    Args:
        scores: [T], one for each pick; the last one may be missing and is then 0.
        shots: [S, 2], first and last frame of each, inclusive, in order.
        picks: [T] frame of each time step, ascending; may end with `num_frames`.
        num_frames: frames of the video.
        budget: the largest share of the frames, above 0, at most 1.

    Returns:
        int8 [last shot's end + 1], 1 where a frame is kept. All 0 if no shot of
        positive score fits.

    Raises:
        ValueError: names the argument that is empty, not finite or out of bounds.
    """
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be in (0, 1]; got {budget}.")
    shots = check_shots(shots, num_frames)
    frames = frame_scores(scores, picks, num_frames)
    length = int(shots[-1, 1]) + 1
    summary = np.zeros(length, np.int8)
    for place in select_shots(frames, shots, int(length * budget)):
        first, last = shots[place]
        summary[first : last + 1] = 1
    return summary


def select_shots(
    frame_scores: np.ndarray, shots: np.ndarray, capacity: int
) -> np.ndarray:
    """The shots of largest total value within a number of frames.

    Args:
        frame_scores: [num_frames], of `frame_scores`.
        shots: [S, 2], first and last frame, inclusive, in order.
        capacity: frames that the chosen shots may have together.

    Returns:
        Ascending indices of shots; equal choices keep the earlier ones; may be empty.

    Raises:
        ValueError: as `shot_values` and `knapsack`.
    """
    values = shot_values(frame_scores, shots)
    shots = np.asarray(shots)
    return knapsack(shots[:, 1] - shots[:, 0] + 1, values, capacity)


def shot_values(frame_scores: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """Mean frame score of each shot: [num_frames], [S, 2] -> [S] of the same dtype.

    Raises:
        ValueError: names the shot that is empty, out of order or beyond the frames.
    """
    frame_scores = np.asarray(frame_scores)
    shots = check_shots(shots, len(frame_scores))
    # One mean at a time: sums of float32 depend on where they start.
    return np.array([frame_scores[a : b + 1].mean() for a, b in shots.tolist()])


def frame_scores(scores: np.ndarray, picks: np.ndarray, num_frames: int) -> np.ndarray:
    """Each time step's score from its own frame up to the next one's.

    Args:
        scores: [T]; the last one may be missing and is then 0.
        picks: [T], cast to int32, ascending; may end with `num_frames`, which begins
            no step.
        num_frames: frames of the video.

    Returns:
        float32 [num_frames]; frames before the first pick score 0.

    Raises:
        ValueError: names the argument that is empty, not finite or out of bounds, and
            how many scores there must be.
    """
    bounds = _bounds(picks, num_frames)
    steps = len(bounds) - 1
    with np.errstate(over="ignore"):  # what float32 cannot hold is named below
        scores = np.asarray(scores).astype(np.float32)
    if scores.ndim != 1 or not steps - 1 <= len(scores) <= max(steps, len(picks)):
        raise ValueError(
            f"scores must be [T={steps}], one for each pick (the last may be missing); "
            f"got {scores.shape}."
        )
    if not np.isfinite(scores).all():
        wrong = np.flatnonzero(~np.isfinite(scores))[0]
        raise ValueError(f"scores must be finite; scores[{wrong}] is {scores[wrong]}.")
    steps = min(steps, len(scores))
    frames = np.zeros(num_frames, np.float32)
    lengths = np.diff(bounds)[:steps]
    frames[bounds[0] : bounds[steps]] = np.repeat(scores[:steps], lengths)
    return frames


def check_shots(shots: np.ndarray, num_frames: int) -> np.ndarray:
    """Shots as int64 [S, 2]: inclusive, in order, apart, within the frames.

    Raises:
        ValueError: names the first shot that is not.
    """
    shots = np.asarray(shots)
    if shots.ndim != 2 or shots.shape[1:] != (2,) or not len(shots):
        raise ValueError(
            f"shots must be [S, 2], at least one first and last frame; got "
            f"{shots.shape}."
        )
    firsts, lasts = shots.T
    if (firsts != np.floor(firsts)).any() or (lasts != np.floor(lasts)).any():
        raise ValueError("shots must be whole numbers of frames.")
    before = np.concatenate([[-1], lasts[:-1]])
    wrong = (firsts <= before) | (lasts < firsts) | (lasts >= num_frames)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"shots must be first and last frames in order, below num_frames="
            f"{num_frames}; shots[{place}] is {shots[place].tolist()} after frame "
            f"{before[place]}."
        )
    return shots.astype(np.int64)


def check_picks(picks: np.ndarray, num_frames: int) -> np.ndarray:
    """Frames of time steps as int32 [T]: ascending, at least 0, at most num_frames.

    Raises:
        ValueError: says what they must be, and what was given.
    """
    if not num_frames >= 1:
        raise ValueError(f"num_frames must be at least 1; got {num_frames}.")
    picks = np.asarray(picks)
    if picks.ndim != 1 or not len(picks):
        raise ValueError(f"picks must be [T], T at least 1; got {picks.shape}.")
    whole = np.trunc(picks)
    within = (whole >= 0) & (whole <= num_frames)
    if not within.all():
        raise ValueError(
            f"picks must be in 0..num_frames={num_frames}; got {picks[~within][0]}."
        )
    picks = whole.astype(np.int32)
    if (np.diff(picks) < 0).any():
        place = int(np.flatnonzero(np.diff(picks) < 0)[0])
        raise ValueError(
            f"picks must ascend; got {picks[place]}, then {picks[place + 1]}."
        )
    return picks


def _bounds(picks, num_frames):
    picks = check_picks(picks, num_frames)
    if picks[-1] == num_frames:
        return picks
    return np.append(picks, np.int32(num_frames))
