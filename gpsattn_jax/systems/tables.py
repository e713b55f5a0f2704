"""Results as text, CSV and JSON: means over runs, accuracies, predictions."""

import csv
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import jax
import numpy as np

from gpsattn_jax.files import replaced, write_json

Predictions = dict[str, dict[str, float]]  # file -> class -> probability, likeliest 1st

WIDTH = 10  # of a column, at least


def mean_sd(values: Sequence[float], digits: int = 1) -> str:
    """The mean, and of several values ± their deviation (n - 1); a dash for nan."""
    mean = np.mean(values)
    if math.isnan(mean):
        return "-"
    text = f"{mean:z.{digits}f}"  # z: no -0.000
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1):.{digits}f}"
    return text


def print_table(
    title: str, rows: Mapping[str, Sequence[str]], head: Sequence[str] = ()
) -> None:
    """Prints rows of cells under a title, in columns.

    Args:
        title: of the table.
        rows: cells by the row's name.
        head: a name for each column, if wanted.
    """
    if jax.process_index():  # process 0 tells
        return
    lines = {"": head} if head else {}
    lines |= rows
    label = max(map(len, lines)) + 2
    width = max(WIDTH, *(len(cell) + 3 for cells in lines.values() for cell in cells))
    print(f"\n{title}:\n")
    for name, cells in lines.items():
        line = "".join(f"{cell:>{width}}" for cell in cells)
        print(f"  {name:<{label}}{line}".rstrip())


def print_accuracies(
    title: str, rows: Mapping[str, Sequence[float]], digits: int = 1
) -> None:
    """Prints accuracies in percent, mean ± sd over runs, the lowest first.

    Args:
        title: of the table.
        rows: shares, one for each run, by the row's name.
        digits: behind the point.
    """
    ordered = sorted(rows.items(), key=lambda row: np.mean(row[1]))
    cells = {
        name: [mean_sd([100 * share for share in shares], digits)]
        for name, shares in ordered
    }
    print_table(title, cells)


def check_output(path: str | os.PathLike | None) -> None:
    """Finds out before long work whether a table of this name can be written.

    Raises:
        ValueError: if it is neither a `.csv` nor a `.json`.
    """
    if path is not None and pathlib.Path(path).suffix not in (".csv", ".json"):
        raise ValueError(f"output must end in .csv or .json; got {path}.")


def open_csv(path: str | os.PathLike) -> TextIO:
    """Opens a CSV to write, in UTF-8; a file's name that is no text keeps its bytes."""
    return open(path, "w", newline="", encoding="utf-8", errors="surrogateescape")


def write_table(
    path: str | os.PathLike, tree: Any, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Writes predictions in the form that the suffix asks for, and prints where.

    Args:
        path: a `.json` or a `.csv`; it appears whole or not at all.
        tree: what a JSON holds.
        rows: what a CSV holds, cells by column.

    Raises:
        ValueError: for another suffix.
    """
    check_output(path)
    if pathlib.Path(path).suffix == ".json":
        write_json(path, tree)
    else:
        with replaced(path) as partial, open_csv(partial) as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    print(f"Written to {path}.")


def class_shares(class_names: Sequence[str], probabilities: np.ndarray) -> dict:
    """{class: probability}, the likeliest first, of probabilities [classes]."""
    order = np.argsort(-probabilities, kind="stable")
    return {class_names[n]: round(float(probabilities[n]), 6) for n in order}


def give_classes(
    found: Predictions, output: str | os.PathLike | None = None, count: int = 3
) -> None:
    """Prints the likeliest classes of each file, and writes them if asked to.

    Args:
        found: by file.
        output: optional JSON of all classes' probabilities, or CSV of the likeliest.
        count: how many are printed, and stand in a CSV.
    """
    rows = []
    for file, shares in found.items():
        best = list(shares.items())[:count]
        print(f"{file}: {', '.join(f'{name} {100 * p:.1f} %' for name, p in best)}")
        row: dict[str, Any] = {"file": file}
        for rank, (name, share) in enumerate(best, start=1):
            row |= {f"class_{rank}": name, f"probability_{rank}": f"{share:.4f}"}
        rows.append(row)
    if output is not None:
        write_table(output, found, rows)


def path_list(
    paths: str | os.PathLike | Sequence[str | os.PathLike],
) -> list[pathlib.Path]:
    """One path, or several, as a list."""
    if isinstance(paths, str | os.PathLike):
        return [pathlib.Path(paths)]
    return [pathlib.Path(path) for path in paths]
