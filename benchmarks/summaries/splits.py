"""Splits of a set's videos: random ones, the official ones, folds within training."""

import dataclasses

import numpy as np

from gpsattn_jax.systems.pglsum.setups import Config
from gpsattn_jax.systems.pglsum.videos import num_splits, split_videos

REPEATS, FOLDS = 4, 5  # 20 random splits: every video is tested once a repeat
TEST_SHARE = 1 / (FOLDS - 1)  # videos to test by videos to train


@dataclasses.dataclass(frozen=True)
class Split:
    """Which videos train and which are tested.

    Attributes:
        name: random-0 to random-19, or official-0 to official-4.
        train: their names.
        test: likewise.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def seed(self) -> int:
        """Of whatever is drawn for this split."""
        return int(self.name.rpartition("-")[2])


def random_splits(names, repeats=REPEATS):
    """Repeated five-fold cross-validation: in a repeat no two test sets overlap."""
    return [
        Split(f"random-{FOLDS * repeat + number}", train, test)
        for repeat in range(repeats)
        for number, (train, test) in enumerate(folds(names, FOLDS, seed=repeat))
    ]


def official_splits(config: Config, videos, data_dir):
    """Those of the set's file, all training videos."""
    found = []
    for number in range(num_splits(config.data, data_dir)):
        data = dataclasses.replace(config.data, split=number)
        one = dataclasses.replace(config, data=data, protocol="paper")
        parts = split_videos(one, videos, data_dir)
        train, test = (tuple(v.name for v in parts[p]) for p in ("train", "test"))
        found.append(Split(f"official-{number}", train, test))
    return found


def folds(names, count, seed):
    """(the others, a fold) for each of `count` disjoint folds of some names."""
    order = np.random.default_rng(seed).permutation(len(names))
    for number in range(count):
        held = set(order[number::count].tolist())
        yield (
            tuple(name for place, name in enumerate(names) if place not in held),
            tuple(name for place, name in enumerate(names) if place in held),
        )
