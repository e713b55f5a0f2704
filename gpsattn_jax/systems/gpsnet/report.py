"""The report of a GPS-Net run: scores, curves, mistakes, clips, what it attends to."""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.evaluation import classification
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.gpsnet import tables
from gpsattn_jax.systems.gpsnet.pictures import Drawings, draw_attention
from gpsattn_jax.systems.gpsnet.tables import Evaluated
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.visualize import figures, page
from gpsattn_jax.visualize.confusion import confusion_figure
from gpsattn_jax.visualize.curves import learning_curves


def report(
    workdir: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    choose: str = "latest",
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> pathlib.Path:
    """Writes pictures, `scores.json` and `index.html`; returns the page's path.

    Args:
        workdir: of one trained run.
        folder: where to; `report/` in the workdir by default.
        choose: "latest" checkpoint, or the "best" on held-out clips.
        data_dir: the folder of data sets.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no such run, or a file of data is not there.
    """
    workdir = pathlib.Path(workdir)
    folder = workdir / "report" if folder is None else pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: the report needs a folder.")
    recognizer = gpsnet.restore(workdir, choose, machine=machine)
    config = recognizer.config
    parts = gpsnet.load_parts(config.data, data_dir)
    clips, train_clips = parts["test"], len(parts["train"])
    probabilities = recognizer.probabilities(clips)
    run = Evaluated(config, clips, train_clips, probabilities)
    rows = {name: found[0] for name, found in tables.baselines([run], data_dir).items()}
    rows[tables.TITLE] = classification.accuracy(probabilities, clips.labels)
    drawings: Drawings = {
        "Learning": _learning(workdir, parts),
        "Mistakes": (_confusion([run]), "Test clips by label and prediction."),
    }
    drawings |= draw_attention(recognizer, clips, probabilities)
    sections = [
        ("Accuracy", _accuracies(rows, run, recognizer.step)),
        ("Classes", page.table(_classes(run))),
    ]
    for heading, (figure, words) in drawings.items():
        path = figures.write(figure, folder / _file_name(heading))
        sections.append((heading, page.picture(path, words)))
    settings = json.dumps(dataclasses.asdict(config), indent=2)
    sections.append(("Settings", f"<pre>{settings}</pre>"))
    scores = {"step": recognizer.step, "test_clips": len(clips), "accuracy": rows}
    (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    title = f"GPS-Net on {config.data.name}, {config.model.stream} stream"
    written = page.write_page(folder / "index.html", title, sections)
    print(f"\nReport: {written}")
    return written


def confusion_picture(
    evaluated: Sequence[Evaluated], path: str | os.PathLike
) -> pathlib.Path:
    """Writes the test clips of all runs by label and prediction, as a PNG.

    Args:
        evaluated: as `gpsnet_tables.print_evaluation` gives them.
        path: of the picture.
    """
    return figures.write(_confusion(evaluated), pathlib.Path(path))


def _confusion(runs: Sequence[Evaluated]) -> Figure:
    names = runs[0].clips.class_names
    counts = [
        classification.confusion_matrix(
            run.probabilities.argmax(-1), run.clips.labels, len(names)
        )
        for run in runs
    ]
    return confusion_figure(np.sum(counts, axis=0), names)


def _learning(workdir, parts):
    """Curves; without held-out clips what a run measures is no validation."""
    lines = read_metrics(workdir)
    if "validation" in parts:
        told = f"Validation: {len(parts['validation'])} clips that were held out."
    else:
        lines = [
            {name: value for name, value in line.items() if "/" not in name}
            for line in lines
        ]
        told = "No clips were held out."
    return (
        learning_curves(lines, ("loss", "accuracy")),
        "Loss and accuracy by step; training sees changed clips, and its loss has "
        f"smoothed labels. {told}",
    )


def _accuracies(rows, run, step):
    ordered = sorted(rows.items(), key=lambda row: row[1])
    cells = [(name, f"{100 * accuracy:.1f} %") for name, accuracy in ordered]
    data = run.config.data
    note = (
        f"<p>{len(run.clips.class_names)} classes, split {data.split}: trained on "
        f"{run.train_clips} clips; {len(run.clips)} test clips, used for nothing else; "
        f"checkpoint of step {step}. GPS-Net here is reconstructed from its abstract; "
        "the paper's layer sizes, recipe and scores were not available to us.</p>"
    )
    return note + page.table([("classifier", "test accuracy"), *cells])


def _classes(run):
    predicted = run.probabilities.argmax(-1)
    head = ("class", "clips", "recall", "precision", "mistaken for")
    rows = classification.class_table(
        predicted, run.clips.labels, run.clips.class_names
    )
    return [
        head,
        *(
            (
                row.name,
                str(row.clips),
                _percent(row.recall),
                _percent(row.precision),
                row.confused_with,
            )
            for row in rows
        ),
    ]


def _percent(share):
    return "-" if np.isnan(share) else f"{100 * share:.1f} %"


def _file_name(heading):
    """Channel attention, block 0 -> channel_attention_block_0.png."""
    start = heading.split(":")[0].lower()
    return re.sub(r"[^a-z0-9]+", "_", start) + ".png"
