"""NTU RGB+D's own `.skeleton` files: text that Kinect's recorder wrote."""

import os
import pathlib

import numpy as np

from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.messages import shortened
from gpsattn_jax.data.skeletons.persons import MOST_PERSONS, Person, stack_persons
from gpsattn_jax.data.skeletons.reading import RawClip

_NOT_TRACKED = "0"  # the last of a joint's twelve numbers


def read_skeleton(path: str | os.PathLike, layout: Layout) -> RawClip:
    """A clip from a `.skeleton` file.

    Args:
        path: the number of frames; in each the number of bodies; of each a line that
            begins with its identity, the number of joints, and a line for each joint,
            which begins with x, y and z.
        layout: of the joints: ntu25.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file, the line, what was expected and got.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such clip.")
    try:
        words = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be text; got {error}.") from None
    lines = _Lines(str(path), words)
    frames: dict[int, list[Person]] = {}
    for number in range(lines.count("the number of frames", len(words))):
        frames[number] = [
            _body(lines, layout)
            for _ in range(lines.count("the number of bodies", MOST_PERSONS))
        ]
    joints = stack_persons(str(path), frames, (layout.num_joints, 3))
    return RawClip(str(path), joints, axes="tmvc", channels="xyz")


class _Lines:
    """The lines of a file, one after the other."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name, self._lines, self._next = name, lines, 0

    def words(self, wanted: str) -> list[str]:
        """The words of the next line."""
        if self._next >= len(self._lines):
            raise ValueError(
                f"{self.name}: line {self._next + 1} must be {wanted}; the file ends."
            )
        self._next += 1
        return self._lines[self._next - 1].split()

    def refuse(self, wanted: str, words: list[str]) -> ValueError:
        """What is wrong with the line that was read last."""
        got = shortened(" ".join(words))
        return ValueError(
            f"{self.name}: line {self._next} must be {wanted}; got {got}."
        )

    def count(self, wanted: str, most: int) -> int:
        """The next line, one number from 0 to `most`."""
        words = self.words(wanted)
        if len(words) == 1 and words[0].isdecimal() and len(words[0]) < 10:
            if int(words[0]) <= most:
                return int(words[0])
            wanted = f"{wanted}, at most {most}"
        raise self.refuse(wanted, words)


def _body(lines, layout):
    """(identity, joints [V, 3])."""
    about = lines.words("a body")
    if not about:
        raise lines.refuse("a body that begins with its identity", about)
    count = lines.count("the number of joints", 10_000)
    if count != layout.num_joints:
        raise ValueError(
            f"{lines.name}: must have the {layout.num_joints} joints of layout "
            f"{layout.name}; got {count}."
        )
    joints = np.empty((count, 3))
    wanted = "a joint that begins with x, y and z"
    for place in range(count):
        words = lines.words(wanted)
        try:
            x, y, z, *_ = map(float, words[:3])
        except ValueError:
            raise lines.refuse(wanted, words) from None
        joints[place] = x, y, z
        if len(words) >= 12 and words[11] == _NOT_TRACKED:
            joints[place] = np.nan
    return about[0], joints
