"""The published choice of an epoch against the original's and by hand."""

import numpy as np
import pytest

from gpsattn_jax.evaluation import select_epoch


def test_the_original_chooses_the_same(golden):
    with np.load(golden / "pglsum/s_epoch_selection.npz") as cases:
        names = sorted({key.split("/")[0] for key in cases} - {"config"})
        assert len(names) == 21
        for name in names:
            found = select_epoch(cases[f"{name}/loss"])
            assert found == cases[f"{name}/selected"], name


def curve(**changes):
    """A curve that falls by 0.1 % an epoch, with some entries changed."""
    losses = 0.999 ** np.arange(40)
    for place, factor in changes.items():
        losses[int(place[1:])] *= factor
    return losses


@pytest.mark.parametrize(
    "losses, expected",
    [
        ([1.0], 1),
        (curve(), 1),  # no jump: an almost untrained model
        (curve(e10=0.9), 1),  # a jump too early to count; the least is no smaller jump
        (curve(e20=0.95), 21),  # down: the later epoch
        (
            curve(e20=1.05),
            40,
        ),  # up: the earlier one, but the last epoch's change is less
        (curve(e39=1.05), 39),
        (curve(e20=1.05, e39=0.9), 20),  # the least loss is a larger jump
        (np.full(30, 0.5), 1),
    ],
)
def test_by_hand(losses, expected):
    assert select_epoch(np.array(losses)) == expected


def test_a_loss_of_zero_warns_of_nothing(recwarn):
    assert select_epoch(np.array([1.0] * 20 + [0.0] * 5)) == 21
    assert not recwarn.list


@pytest.mark.parametrize(
    "losses, message",
    [
        ([], r"losses must be \[epochs\], at least one; got \(0,\)"),
        ([[1.0]], r"losses must be \[epochs\]"),
        ([1.0, np.nan], r"losses must be finite; losses\[1\] is nan"),
        ([np.inf], r"losses\[0\] is inf"),
    ],
)
def test_bad_input_is_named(losses, message):
    with pytest.raises(ValueError, match=message):
        select_epoch(np.array(losses))
