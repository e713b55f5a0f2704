"""Protocols of the public sets beside their usual one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# MSR-Action3D's three sets of eight similar actions (Li, Zhang and Liu 2010), and a
# split of NW-UCLA's training views alone, to choose on.
ACTION_SETS = ("as1", "as2", "as3")
TRAINING_VIEWS = "view1_to_view2"
PROTOCOLS = {"msr_action3d": ACTION_SETS, "nw_ucla": (TRAINING_VIEWS,)}


def check_protocol(name: str, protocol: str) -> None:
    """Raises ValueError unless a set has the protocol; "" is the usual one."""
    known = PROTOCOLS.get(name, ())
    if protocol and protocol not in known:
        wanted = f"one of {', '.join(known)}, or empty" if known else "empty"
        raise ValueError(
            f"data.protocol must be {wanted} for data.name={name}; got {protocol!r}."
        )


def split_views(protocol: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """NW-UCLA's views to train on, and to test on."""
    return ((1,), (2,)) if protocol == TRAINING_VIEWS else ((1, 2), (3,))


def actions_of(arrays: Mapping[str, Any], protocol: str) -> np.ndarray | None:
    """Labels of an action set, in order; None if the protocol has all of them.

    Args:
        arrays: of the file of MSR-Action3D, which counts actions from 1 in its sets.
        protocol: one of `PROTOCOLS`, or "".
    """
    if protocol not in ACTION_SETS:
        return None
    return np.sort(arrays[protocol.upper()].astype(np.int64)) - 1


def with_clips(arrays: Mapping[str, Any], kept: np.ndarray) -> dict[str, Any]:
    """A file's arrays with some of its clips alone.

    Args:
        arrays: coords [sum T, V, C], offsets [n + 1], labels, subject, names [n], …
        kept: [n] bool.
    """
    lengths = np.diff(arrays["offsets"])
    of_clips = {field: arrays[field][kept] for field in ("labels", "subject", "names")}
    return {
        **arrays,
        **of_clips,
        "coords": arrays["coords"][np.repeat(kept, lengths)],
        "offsets": np.concatenate([[0], np.cumsum(lengths[kept])]),
    }
