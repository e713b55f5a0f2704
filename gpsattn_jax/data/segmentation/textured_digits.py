"""Digits on textured ground: scenes with masks, each made from its number.

Nothing is fetched: the digits come with scikit-learn, ground and places from seeds.
"""

import dataclasses
import functools

import numpy as np

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.images.named_sets import digits
from gpsattn_jax.data.segmentation.sources import batch_of

SIDE = 64  # pixels of a scene
SCENES = {"train": 2000, "validation": 200, "test": 500}
CLASS_NAMES = ("ground", *map(str, range(10)))
SIZES = 24, 40  # a digit's side in pixels, from and to
MOST_DIGITS = 3
OPACITY = 0.8
INK = 0.45  # from so much ink on, a pixel belongs to the digit
_SEEDS = {"train": 1, "validation": 2, "test": 3}


@dataclasses.dataclass(frozen=True)
class TexturedDigits:
    """Some scenes of a part, made when they are asked for; a `Source` of batches.

    Attributes:
        part: "train", "validation" or "test", which share no digit.
        numbers: of the scenes.
        held_out: see `Masked`; no part is drawn from another.
    """

    held_out = False
    part: str
    numbers: np.ndarray

    @property
    def class_names(self) -> tuple[str, ...]:
        """The ground and the ten digits."""
        return CLASS_NAMES

    def __len__(self) -> int:
        """How many scenes."""
        return len(self.numbers)

    def take(self, places: np.ndarray) -> "TexturedDigits":
        """The scenes at some places."""
        return TexturedDigits(self.part, self.numbers[places])

    def name(self, place: int) -> str:
        """The scene's part and number."""
        return f"{self.part}_{self.numbers[place]}"

    def whole(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """A scene [64, 64, 3] and its mask [64, 64], uint8."""
        return _scene(self.part, int(self.numbers[place]))

    def batch(self, places: np.ndarray, seeds: np.ndarray | None) -> Batch:
        """{"inputs": {"images": [k, 64, 64, 3]}, "targets": {"mask": [k, 64, 64]}}."""
        del seeds
        return batch_of(self.whole(int(place)) for place in places)


def textured_digits() -> dict[str, TexturedDigits]:
    """2,000 scenes to train, 200 to validate, 500 to test."""
    return {part: TexturedDigits(part, np.arange(n)) for part, n in SCENES.items()}


def make_scene(
    sources: np.ndarray, labels: np.ndarray, seed: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """One to three digits on waves and grain; a function of its seed.

    A digit lets a fifth of what is below it through, and is brighter or darker than
    the ground's mean in a colour of its own; later digits hide earlier ones.

    Args:
        sources: [n, 8, 8, 1] in 0..1, digits to choose from.
        labels: [n], 0 to 9.
        seed: of all that is drawn.

    Returns:
        (picture [64, 64, 3] uint8, mask [64, 64] uint8: 0 the ground, else label + 1).
    """
    draw = np.random.default_rng(seed)
    picture, mask = _ground(draw), np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(draw.integers(1, MOST_DIGITS + 1)):
        place, side = draw.integers(len(sources)), draw.integers(SIZES[0], SIZES[1] + 1)
        top, left = draw.integers(0, SIDE - side + 1, 2)
        box = slice(top, top + side), slice(left, left + side)
        ink = _enlarged(sources[place, :, :, 0], side)
        covered = np.clip((ink - INK + 0.15) / 0.3, 0, 1)[..., None]
        contrast = draw.choice((-1, 1)) * draw.uniform(0.3, 0.5)
        color = 0.5 + contrast + draw.uniform(-0.1, 0.1, 3)
        picture[box] += OPACITY * covered * (color - picture[box])
        mask[box] = np.where(ink > INK, labels[place] + 1, mask[box])
    return (255 * np.clip(picture, 0, 1)).round().astype(np.uint8), mask


@functools.cache
def _scene(part, number):
    """A scene, kept: all of them together take 43 MB."""
    source = _digits()[part]
    return make_scene(source.images, source.labels, (_SEEDS[part], number))


@functools.cache
def _digits():
    return digits(None)


def _ground(draw):
    """Three waves of random direction and colour, and grain: [64, 64, 3]."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    ground = np.full((SIDE, SIDE, 3), 0.5) + draw.uniform(-0.12, 0.12, 3)
    for _ in range(3):
        angle, length = draw.uniform(0, np.pi), draw.uniform(5, 40)
        along = np.cos(angle) * rows + np.sin(angle) * columns
        wave = np.sin(2 * np.pi * (along / length + draw.random()))
        ground += wave[..., None] * draw.uniform(-0.08, 0.08, 3)
    return ground + draw.normal(0, 0.04, ground.shape)


def _enlarged(image, side):
    """[h, h] -> [side, side], bilinear with half-pixel centres."""
    at = (np.arange(side) + 0.5) * len(image) / side - 0.5
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(len(image))))
    weights /= weights.sum(1, keepdims=True)
    return weights @ image @ weights.T
