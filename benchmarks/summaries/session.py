"""Goes through sets, splits and scorers; every result is written when it is there."""

import json
import pathlib
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks import timing
from benchmarks.summaries.scorers import SCORERS, Task
from benchmarks.summaries.splits import Split, official_splits, random_splits
from gpsattn_jax.files import write_json
from gpsattn_jax.systems.pglsum.setups import SETUPS
from gpsattn_jax.systems.pglsum.videos import load_videos

SETS = {"tvsum": "tvsum_shots", "summe": "summe_shots"}  # by the setup of PGL-SUM


class Session:
    """Results by set, split and scorer, kept in one JSON.

    Args:
        path: of the JSON; what it has is not computed again.
        data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.

    Raises:
        FileNotFoundError: if a file of data is not there.
        ValueError: if the JSON is none of ours.
    """

    def __init__(self, path: pathlib.Path, data_dir: str | None = None):
        self.path = path
        self.tasks: dict[str, Task] = {}
        self.splits: dict[str, list[Split]] = {}
        for name, setup in SETS.items():
            config = SETUPS[setup]
            videos = load_videos(config.data, data_dir)
            self.tasks[name] = Task(config, videos)
            self.splits[name] = random_splits(list(videos)) + official_splits(
                config, videos, data_dir
            )
        self.found = read(path) if path.exists() else {name: {} for name in SETS}

    def waiting(self) -> list[tuple[str, Split, str]]:
        """(set, split, scorer) without a result, in the order of work.

        Five splits of each set in turns, so that whatever is there is a whole table.
        """
        rounds = range(0, max(map(len, self.splits.values())), 5)
        return [
            (name, split, scorer)
            for first in rounds
            for name in SETS
            for split in self.splits[name][first : first + 5]
            for scorer in SCORERS
            if scorer not in self.found[name].get(split.name, {})
        ]

    def run(self, minutes: float, scorers: Collection[str]) -> int:
        """Works for some minutes; returns how many results are still missing."""
        deadline = time.monotonic() + 60 * minutes
        waiting = [one for one in self.waiting() if one[2] in scorers]
        total = sum(map(len, self.splits.values())) * len(scorers)
        for number, (name, split, scorer) in enumerate(waiting):
            if time.monotonic() > deadline:
                break
            begun = time.monotonic()
            found = SCORERS[scorer](self.tasks[name], split)
            self.found[name].setdefault(split.name, {})[scorer] = found
            self.write()
            done = total - len(waiting) + number + 1
            say(
                f"[{done}/{total}] {name} {split.name} {scorer}: "
                f"tau {mean(found, 'tau'):.3f} {found.get('chosen', '')} "
                f"({time.monotonic() - begun:.1f} s)"
            )
        return len(self.waiting())

    def write(self) -> None:
        """The JSON, in one go."""
        write_json(self.path, {"machine": timing.machine(), "sets": self.found})


def mean(found: Mapping[str, Any], metric: str) -> float:
    """Of a split's test videos."""
    values: Sequence[float] = [row[metric] for row in found["videos"].values()]
    return sum(values) / len(values)


def read(path: pathlib.Path) -> dict[str, Any]:
    """An earlier run's results.

    Raises:
        ValueError: if the file is none of a run.
    """
    try:
        sets = json.loads(path.read_text())["sets"]
        return {name: dict(sets[name]) for name in SETS}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} must be what an earlier run wrote; got {error!r:.80}. "
            "Move it away and run this again."
        ) from error


def say(text: str) -> None:
    """To stderr: stdout is the table's."""
    print(text, file=sys.stderr, flush=True)
