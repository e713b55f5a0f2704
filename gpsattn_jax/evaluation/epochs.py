"""The epoch that PGL-SUM's published protocol keeps, chosen by the training loss."""

import numpy as np

FIRST = 15  # epochs before it are never candidates for a jump
JUMP = 1.0  # percent


def select_epoch(losses: np.ndarray) -> int:
    """The published criterion: the first jump of the training loss, or its minimum.

    From epoch 15 on, the first change of at least 1 % between two epochs makes the
    lower of the two the candidate (epoch 0 if there is none). The epoch of the least
    loss wins instead if its own change, from the epoch before it, is smaller than that
    of the candidate. A smooth curve without such a jump so selects an almost untrained
    model: choose by a validation split where the published protocol is not at stake.

    Args:
        losses: [epochs], mean training loss of each.

    Returns:
        1..epochs: how many epochs of training the chosen model has had, so an index
        into scores whose entry 0 is the untrained model.

    Raises:
        ValueError: if there are none, or one is not finite.
    """
    losses = np.asarray(losses, np.float64)
    if losses.ndim != 1 or not len(losses):
        raise ValueError(f"losses must be [epochs], at least one; got {losses.shape}.")
    if not np.isfinite(losses).all():
        wrong = np.flatnonzero(~np.isfinite(losses))[0]
        raise ValueError(f"losses must be finite; losses[{wrong}] is {losses[wrong]}.")
    with np.errstate(divide="ignore", invalid="ignore"):
        # Entry i is the change from epoch i - 1; before the first stands the last.
        changes = (losses - np.roll(losses, 1)) / losses * 100
    candidate, change = _first_jump(changes)
    least = int(losses.argmin())
    if abs(changes[least]) < abs(change):
        return least + 1
    return candidate + 1


def _first_jump(changes):
    later = changes[FIRST + 1 :]
    jumps = np.flatnonzero(np.abs(later) >= JUMP)
    if not len(jumps):
        return 0, 0.0
    after = FIRST + 1 + int(jumps[0])
    # Downwards the later epoch is the better one, upwards the earlier.
    return (after if changes[after] < 0 else after - 1), changes[after]
