"""Tables of a session: each scorer's figures, and which differences survive."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.summaries.scorers import SCORERS
from benchmarks.summaries.session import mean
from benchmarks.summaries.splits import FOLDS, REPEATS, TEST_SHARE
from gpsattn_jax.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    corrected_interval,
)
from gpsattn_jax.systems.tables import mean_sd

TITLES = {
    "random": "random scores",
    "representativeness": "representativeness (untrained)",
    "people": "a person against the others",
    "position": "position only",
    "regression": "regression (position, contrast, …)",
    "pglsum": "PGL-SUM, colours and relative time",
}
COLUMNS = {
    "tvsum": {"tau": 3, "rho": 3},
    "summe": {"f_score": 1, "tau": 3, "rho": 3},
}
NAMES = {"tvsum": "TVSum", "summe": "SumMe", "f_score": "F", "tau": "tau", "rho": "rho"}
PAIRS = (
    ("position", "random"),
    ("representativeness", "random"),
    ("pglsum", "random"),
    ("pglsum", "representativeness"),
    ("pglsum", "position"),
    ("regression", "position"),
    ("regression", "pglsum"),
    ("people", "position"),
    ("people", "regression"),
)

Found = Mapping[str, Mapping[str, Any]]  # split -> scorer -> result


def whole_splits(found: Found, kind: str, *scorers: str) -> list[str]:
    """Splits of a kind that all these scorers have; of random ones whole repeats."""
    names = [
        name
        for name, row in found.items()
        if name.startswith(kind) and row.keys() >= set(scorers)
    ]
    names.sort(key=_number)
    if kind != "random":
        return names
    repeats = [_number(name) // FOLDS for name in names]
    return [n for n, r in zip(names, repeats, strict=True) if repeats.count(r) == FOLDS]


def _number(name):
    return int(name.rpartition("-")[2])


def by_split(found: Found, names: list[str], scorer: str, metric: str) -> np.ndarray:
    """[J] means over the test videos of each split."""
    return np.array([mean(found[name][scorer], metric) for name in names])


def by_video(found: Found, names: list[str], scorer: str, metric: str) -> np.ndarray:
    """[n] means over the splits that test a video, in the order of their names."""
    values: dict[str, list[float]] = {}
    for name in names:
        for video, row in found[name][scorer]["videos"].items():
            values.setdefault(video, []).append(row[metric])
    return np.array([np.mean(values[video]) for video in sorted(values)])


def write(sets: Mapping[str, Found]) -> str:
    """Both tables of the random splits and the official splits' means, in Markdown."""
    parts = [figures(sets, "random"), differences(sets), figures(sets, "official")]
    return "\n\n".join(parts) + "\n"


def figures(sets: Mapping[str, Found], kind: str) -> str:
    """A row for each scorer: mean and 95 % interval; official splits: mean ± sd."""
    columns = [(s, m) for s in sets for m in COLUMNS[s]]
    head = [f"{kind} splits", *(f"{NAMES[s]} {NAMES[m]}" for s, m in columns)]
    rows = []
    for scorer in SCORERS:
        cells = [TITLES[scorer]]
        for name, metric in columns:
            splits = whole_splits(sets[name], kind, scorer)
            values = by_split(sets[name], splits, scorer, metric)
            cells.append(_figure(values, kind, COLUMNS[name][metric]))
        rows.append(cells)
    return _markdown(head, rows)


def _figure(values, kind, digits):
    if not len(values):
        return "-"
    if kind == "official":
        return mean_sd(values, digits) + _unless(len(values), FOLDS)
    interval = corrected_interval(values, TEST_SHARE)
    return _interval(interval, digits) + _unless(len(values), REPEATS * FOLDS)


def _unless(count, whole):
    """How many splits there are, where some are still missing."""
    return "" if count == whole else f" ({count} splits)"


def differences(sets: Mapping[str, Found]) -> str:
    """A row for each pair: both intervals of each set's tau, and what survives both."""
    head = ["difference of tau, random splits"]
    for name in sets:
        head += [f"{NAMES[name]}: by splits", "by videos", "survives"]
    rows = []
    for first, second in PAIRS:
        cells = [f"{TITLES[first]} - {TITLES[second]}"]
        for found in sets.values():
            cells += _difference(found, first, second)
        rows.append(cells)
    return _markdown(head, rows)


def _difference(found, first, second, metric="tau"):
    names = whole_splits(found, "random", first, second)
    if not names:
        return ["-", "-", "-"]
    splits, videos = (
        of(found, names, first, metric) - of(found, names, second, metric)
        for of in (by_split, by_video)
    )
    corrected = corrected_interval(splits, TEST_SHARE)
    resampled = bootstrap_interval(videos)
    survives = corrected.excludes(0) and resampled.excludes(0)
    count = _unless(len(names), REPEATS * FOLDS)
    return [
        _interval(corrected, 3) + count,
        _interval(resampled, 3),
        "yes" if survives else "no",
    ]


def _interval(interval: Interval, digits: int) -> str:
    mean_, low, high = (f"{value:z.{digits}f}" for value in interval)
    return f"{mean_} [{low}, {high}]"


def _markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
