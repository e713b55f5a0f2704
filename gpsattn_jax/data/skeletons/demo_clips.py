"""Made-up actions of a stick figure, to try things with where there are no clips."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from gpsattn_jax.files import replaced

LAYOUT = "coco17"
FPS = 30
TESTED = 3  # one clip in so many is for the test
SPREAD = 0.35  # most by which a time is off its mean, as a share of it


@dataclasses.dataclass(frozen=True)
class _Moves:
    """What a body does, in each of T frames.

    Attributes:
        arms: [T, 2, 2] angles in radians: (left, right) x (upper arm, forearm); 0 hangs
            down, pi / 2 points away from the body, pi upwards.
        rise: [T], how high the feet are, in body heights.
        bend: [T], 0 stands, 1 squats.
    """

    arms: np.ndarray
    rise: np.ndarray
    bend: np.ndarray


def write_demo_clips(
    folder: str | os.PathLike, *, clips: int = 60, seed: int = 0
) -> pathlib.Path:
    """Writes clips of all actions, and their labels.csv; `read_folder` reads them.

    Each is done at a tempo of its own, by a person of a size and at a place of its own,
    as a pose estimator sees it: shaking. A third of them are for the test.

    Args:
        folder: holds nothing else; it is made if it is not there.
        clips: how many, of all actions in turn.
        seed: another one gives other clips.

    Returns:
        The folder: `.npy` files [T, V=17, 2] of layout `LAYOUT`, and labels.csv.

    Raises:
        OSError: if a file cannot be written.
        ValueError: if there are too few clips for all actions and both splits, or the
            folder holds other files.
    """
    folder, least = pathlib.Path(folder), TESTED * len(ACTIONS)
    if clips < least:
        raise ValueError(f"clips must be at least {least}; got {clips}.")
    rows = []
    for number in range(clips):
        turn, action = divmod(number, len(ACTIONS))
        label = [*ACTIONS][action]
        split = "test" if turn % TESTED == TESTED - 1 else "train"
        rows.append((f"{label.replace(' ', '_')}_{turn:03d}", label, split))
    folder.mkdir(parents=True, exist_ok=True)
    ours = {f"{name}.npy" for name, _, _ in rows} | {"labels.csv"}
    for path in sorted(folder.iterdir()):
        if path.name not in ours:
            raise ValueError(f"{folder}: must hold no other files; got {path.name}.")
    for number, (name, label, _) in enumerate(rows):
        with replaced(folder / f"{name}.npy") as partial, partial.open("wb") as file:
            np.save(file, demo_sequence([label], seed=(seed, number))[0])
    table = "".join(f"{','.join(row)}\n" for row in [("name", "label", "split"), *rows])
    with replaced(folder / "labels.csv") as partial:
        partial.write_text(table, encoding="utf-8")
    return folder


def demo_sequence(
    actions: Sequence[str], *, seconds: float = 2.0, seed: int | Sequence[int] = 0
) -> tuple[np.ndarray, tuple[int, ...]]:
    """One person who does some actions, one after the other.

    Args:
        actions: keys of `ACTIONS`.
        seconds: about how long each is done.
        seed: of person, tempo and noise.

    Returns:
        ([T, V=17, 2] float32, in pixels, the second coordinate downwards, `FPS` frames
        a second; the number of frames after which each action ends).

    Raises:
        ValueError: if there is no action, or an unknown one, or no time for it.
    """
    unknown = [action for action in actions if action not in ACTIONS]
    if unknown or not actions:
        raise ValueError(
            f"actions must be among {', '.join(ACTIONS)}; got {list(actions)}."
        )
    if seconds * FPS * (1 - SPREAD) < 2:
        raise ValueError(f"seconds must hold a few frames; got {seconds}.")
    rng = np.random.default_rng(seed)
    parts = [_done(action, seconds, rng) for action in actions]
    body = np.concatenate(parts)
    lean, size = rng.uniform(-0.1, 0.1), rng.uniform(120, 300)
    turned = body @ np.array(
        [[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]]
    )
    place = rng.uniform((200, 380), (440, 440))
    shaken = turned + rng.normal(0, 0.006, body.shape)
    ends = tuple(int(end) for end in np.cumsum([len(part) for part in parts]))
    return (place + size * shaken * (1, -1)).astype(np.float32), ends


def _done(action, seconds, rng):
    """[T, V, 2] in body heights, upwards, between the feet the origin."""
    length = round(seconds * FPS * rng.uniform(1 - SPREAD, 1 + SPREAD))
    tempo, start = rng.uniform(0.8, 1.5), rng.uniform(0, 2 * np.pi)
    sway = 0.06 * np.sin(np.arange(length) / FPS * rng.uniform(1, 3) + start)
    moves = ACTIONS[action](start + 2 * np.pi * tempo * np.arange(length) / FPS)
    return _posed(dataclasses.replace(moves, arms=moves.arms + sway[:, None, None]))


def _wave(phase: np.ndarray, side: int) -> _Moves:
    moves = _standing(phase)
    moves.arms[:, side] = np.stack([2.1 + 0 * phase, 2.8 + 0.6 * np.sin(phase)], -1)
    return moves


def _clap(phase: np.ndarray) -> _Moves:
    moves = _standing(phase)
    opened = (1 + np.sin(phase)) / 2
    moves.arms[:] = np.stack([0.5 + 0.3 * opened, -1.7 - 1.1 * opened], -1)[:, None]
    return moves


def _jump(phase: np.ndarray) -> _Moves:
    up, down = np.maximum(np.sin(phase), 0), np.maximum(-np.sin(phase), 0)
    moves = _standing(phase)
    moves.arms[:] += 0.7 * up[:, None, None]
    return dataclasses.replace(moves, rise=0.16 * up, bend=0.4 * down)


def _squat(phase: np.ndarray) -> _Moves:
    bend = (1 - np.cos(phase)) / 2
    moves = _standing(phase)
    moves.arms[:] += 1.2 * bend[:, None, None]
    return dataclasses.replace(moves, bend=bend)


def _standing(phase):
    arms = np.full((len(phase), 2, 2), 0.15)
    return _Moves(arms, np.zeros(len(phase)), np.zeros(len(phase)))


def _posed(moves):
    """The joints of coco17, [T, V, 2], from the ankles up and down the arms."""
    hip = moves.rise + 0.5 - 0.22 * moves.bend
    knee = (hip + moves.rise) / 2
    # A thigh is 0.25 long; half of what it leans goes aside, the rest to the front.
    aside = np.sqrt(np.maximum(0.25**2 - (hip - knee) ** 2, 0)) / 2
    sides = []
    for side, sign in enumerate((1, -1)):  # who looks at us has the left to the right
        shoulder = _at(sign * 0.1, hip + 0.3)
        limbs = [shoulder]
        for part, length in enumerate((0.17, 0.15)):
            angle = moves.arms[:, side, part]
            along = np.stack([sign * np.sin(angle), -np.cos(angle)], -1)
            limbs.append(limbs[-1] + length * along)
        limbs += [
            _at(sign * 0.07, hip),
            _at(sign * (0.08 + aside), knee),
            _at(sign * 0.08, moves.rise),
        ]
        face = [_at(sign * 0.02, hip + 0.43), _at(sign * 0.045, hip + 0.42)]
        sides.append(face + limbs)
    paired = [joint for pair in zip(*sides, strict=True) for joint in pair]
    return np.stack([_at(0.0, hip + 0.41), *paired], axis=1)


def _at(x, y):
    return np.stack(np.broadcast_arrays(x, y), -1)


ACTIONS: dict[str, Callable[[np.ndarray], _Moves]] = {
    "clap": _clap,
    "jump": _jump,
    "squat": _squat,
    "wave left hand": lambda phase: _wave(phase, 0),
    "wave right hand": lambda phase: _wave(phase, 1),
}
