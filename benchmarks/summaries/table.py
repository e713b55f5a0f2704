"""Tables of a session: each scorer's figures, and which differences survive."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.summaries.scorers import SCORERS
from benchmarks.summaries.session import mean
from benchmarks.summaries.splits import FOLDS, TEST_SHARE
from gpsattn_jax.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    corrected_interval,
)

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


def whole_splits(found: Found, kind: str) -> list[str]:
    """Splits of a kind that every scorer has; of random ones whole repeats."""
    names = [
        name
        for name, row in found.items()
        if name.startswith(kind) and row.keys() >= SCORERS.keys()
    ]
    names.sort(key=lambda name: int(name.rpartition("-")[2]))
    if kind != "random":
        return names
    repeats = [int(name.rpartition("-")[2]) // FOLDS for name in names]
    return [n for n, r in zip(names, repeats, strict=True) if repeats.count(r) == FOLDS]


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
    counts = ", ".join(
        f"{NAMES[name]}: {len(whole_splits(found, 'random'))} random and "
        f"{len(whole_splits(found, 'official'))} official splits"
        for name, found in sets.items()
    )
    parts = [counts, figures(sets, "random"), differences(sets)]
    if all(whole_splits(found, "official") for found in sets.values()):
        parts.append(figures(sets, "official"))
    return "\n\n".join(parts) + "\n"


def figures(sets: Mapping[str, Found], kind: str) -> str:
    """A row for each scorer: mean and 95 % interval; official splits: mean ± sd."""
    columns = [(s, m) for s in sets for m in COLUMNS[s]]
    head = [f"{kind} splits", *(f"{NAMES[s]} {NAMES[m]}" for s, m in columns)]
    rows = []
    for scorer in SCORERS:
        cells = [TITLES[scorer]]
        for name, metric in columns:
            splits = whole_splits(sets[name], kind)
            cells.append(_figure(sets[name], splits, scorer, metric, kind, name))
        rows.append(cells)
    return _markdown(head, rows)


def _figure(found, splits, scorer, metric, kind, name):
    if not splits:
        return "-"
    values, digits = by_split(found, splits, scorer, metric), COLUMNS[name][metric]
    if kind == "random":
        return _interval(corrected_interval(values, TEST_SHARE), digits)
    return f"{values.mean():z.{digits}f} ± {values.std(ddof=1):.{digits}f}"


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
    names = whole_splits(found, "random")
    if not names:
        return ["-", "-", "-"]
    splits, videos = (
        of(found, names, first, metric) - of(found, names, second, metric)
        for of in (by_split, by_video)
    )
    corrected = corrected_interval(splits, TEST_SHARE)
    resampled = bootstrap_interval(videos)
    survives = corrected.excludes(0) and resampled.excludes(0)
    both = (_interval(interval, 3) for interval in (corrected, resampled))
    return [*both, "yes" if survives else "no"]


def _interval(interval: Interval, digits: int) -> str:
    mean_, low, high = (f"{value:z.{digits}f}" for value in interval)
    return f"{mean_} [{low}, {high}]"


def _markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
