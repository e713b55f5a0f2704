"""Persons that come frame by frame, as one array: each keeps a place of its own."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

MOST_PERSONS = 100  # at once
_MOST_GAPS = 100  # a number may be left out where nobody was found, but not nearly all

Person = tuple[Hashable, np.ndarray]  # (who it is, or None; joints [V, K])


def stack_persons(
    name: str, frames: Mapping[int, Sequence[Person]], shape: tuple[int, int]
) -> np.ndarray:
    """Frames of any number of persons as [T, M, V, K]; NaN where nobody is.

    Persons with an identity keep their place as long as they are there, and one who
    comes after another has left may take over; those without one stand in the order of
    their frame.

    Args:
        name: of the clip; messages begin with it.
        frames: {number of the frame: its persons}; numbers may be missing.
        shape: (V, K) of a person.

    Raises:
        ValueError: if there are no frames, too few for their numbers, or too many
            persons.
    """
    if not frames:
        raise ValueError(f"{name}: must have frames; got none.")
    first, last = min(frames), max(frames)
    if last - first >= _MOST_GAPS * len(frames):
        raise ValueError(
            f"{name}: frames must follow each other; got {len(frames)} of them, "
            f"numbered from {first} to {last}."
        )
    count = max(map(len, frames.values()))
    places = _places(frames) if count <= MOST_PERSONS else {}
    count = max([count, *(1 + max(of) for of in places.values() if of)])
    if count > MOST_PERSONS:
        raise ValueError(
            f"{name}: must have at most {MOST_PERSONS} persons at once; got {count}."
        )
    if not count:
        raise ValueError(
            f"{name}: must have persons; got none in {len(frames)} frames."
        )
    clip = np.full((last - first + 1, count, *shape), np.nan, np.float32)
    for number, persons in frames.items():
        for place, (_, joints) in zip(places[number], persons, strict=True):
            with np.errstate(all="ignore"):  # what overflows is missing
                clip[number - first, place] = joints
    return clip


def _places(frames):
    """{number of the frame: a place for each of its persons}."""
    ends: dict[Hashable, int] = {}
    for number in frames:
        for who, _ in frames[number]:
            ends[who] = max(number, ends.get(who, number))
    held: dict[int, tuple[Hashable, int]] = {}  # place -> who, and until when
    of: dict[Hashable, int] = {}
    places = {}
    for number in sorted(frames):
        here = frames[number]
        known = [who for who, _ in here]
        if None in known or len(set(known)) < len(known):
            places[number] = list(range(len(here)))
            continue
        for who in known:
            if who not in of:
                free = (p for p in range(len(held) + 1)
                        if p not in held or held[p][1] < number)  # fmt: skip
                of[who] = next(free)
                held[of[who]] = who, ends[who]
        places[number] = [of[who] for who in known]
    return places
