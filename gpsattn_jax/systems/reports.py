"""The report that every system writes of a run: a page, its pictures, its scores."""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.files import write_json
from gpsattn_jax.systems.named_networks import results_folder
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.trackers import open_trackers
from gpsattn_jax.visualize import figures, page
from gpsattn_jax.visualize.curves import learning_curves

Drawing = tuple[Figure, str]  # a picture, and what it shows
Drawings = dict[str, Drawing]  # by heading
Sections = list[tuple[str, str]]  # (heading, HTML)


def report_folder(
    workdir: str | os.PathLike, folder: str | os.PathLike | None
) -> pathlib.Path:
    """Where a report goes: the folder, or `report/` in the workdir.

    Raises:
        NotADirectoryError: if something else is there.
    """
    path = (
        results_folder(workdir) / "report" if folder is None else pathlib.Path(folder)
    )
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path}: the report needs a folder.")
    return path


def write_report(
    folder: pathlib.Path,
    title: str,
    run: TrainedRun,
    sections: Sections,
    drawings: Drawings,
    scores: Mapping[str, Any],
    *,
    workdir: str | os.PathLike,
    machine: Machine | None = None,
) -> pathlib.Path:
    """Writes pictures, `scores.json` and `index.html`; prints and returns its path.

    Args:
        folder: where to.
        title: of the page.
        run: whose settings the page ends with.
        sections: that the page begins with.
        drawings: that follow; each is a PNG of its heading's name, too.
        scores: what `scores.json` holds beside the checkpoint's step.
        workdir: of the run, or the file or name that stands for it.
        machine: its `log_to` gets the pictures, too.
    """
    sections, pictures = [*sections], {}
    for heading, (figure, words) in drawings.items():
        path = figures.write(figure, folder / _file_name(heading))
        pictures[heading] = path
        sections.append((heading, page.picture(path, words)))
    settings = json.dumps(dataclasses.asdict(run.config), indent=2)
    sections.append(("Settings", f"<pre>{settings}</pre>"))
    write_json(folder / "scores.json", {"step": run.step, **scores})
    written = page.write_page(folder / "index.html", title, sections)
    if machine is not None:
        with open_trackers(
            machine.log_to,
            results_folder(workdir),
            dataclasses.asdict(run.config),
            part="report",
        ) as trackers:
            for tracker in trackers:
                tracker.add_pictures(run.step, pictures)
    print(f"\nReport: {written}")
    return written


def learning(
    workdir: str | os.PathLike,
    metrics: Sequence[str],
    words: str,
    *,
    validation: bool = True,
) -> Drawings:
    """Curves of a run's metrics by step; nothing of a file, which keeps none.

    Args:
        workdir: of the run.
        metrics: a panel for each.
        words: what they show.
        validation: whether the curves of evaluation belong to it.
    """
    if not (pathlib.Path(workdir) / "metrics.jsonl").is_file():
        return {}
    lines = read_metrics(pathlib.Path(workdir))
    if not validation:
        lines = [{n: v for n, v in line.items() if "/" not in n} for line in lines]
    return {"Learning": (learning_curves(lines, metrics), words)}


def accuracy_section(
    rows: Mapping[str, float], note: str, digits: int
) -> tuple[str, str]:
    """Test accuracies as a table, the lowest first, under a note.

    Args:
        rows: shares by the classifier's name.
        note: a sentence on what was measured.
        digits: of the percentages, behind the point.
    """
    ordered = sorted(rows.items(), key=lambda row: row[1])
    cells = {name: [f"{100 * share:.{digits}f} %"] for name, share in ordered}
    heading, table = table_section("Accuracy", ["test accuracy"], cells)
    return heading, f"<p>{note}</p>{table}"


def table_section(
    heading: str, head: Sequence[str], cells: Mapping[str, Sequence[str]]
) -> tuple[str, str]:
    """A table under a heading: a name for each column, cells by the row's name."""
    rows = ([name, *row] for name, row in cells.items())
    return heading, page.table([["", *head], *rows])


def examples_to_show(
    labels: np.ndarray, predicted: np.ndarray, count: int
) -> np.ndarray:
    """Places of some examples: half of them mistakes, if there are so many, and first.

    Both halves are of different predicted classes, as far as it goes.

    Args:
        labels: [n].
        predicted: [n].
        count: how many.
    """
    # Shuffled, since a set may come sorted by class.
    order = np.random.default_rng(0).permutation(len(labels))
    right = (predicted == labels)[order]
    wrong, right = (_by_class(order[part], predicted) for part in (~right, right))
    enough = max(count // 2, count - len(right))
    return np.concatenate([wrong[:enough], right])[:count]


def _by_class(places, predicted):
    """The first place of each predicted class in front, the rest behind."""
    _, first = np.unique(predicted[places], return_index=True)
    first = np.sort(first)
    return np.concatenate([places[first], np.delete(places, first)])


def _file_name(heading):
    """Channel attention, block 0 -> channel_attention_block_0.png."""
    start = heading.split(":")[0].lower()
    return re.sub(r"[^a-z0-9]+", "_", start) + ".png"
