"""The report of a GPS-Net run: scores, curves, mistakes, clips, what it attends to."""

import os
import pathlib

from gpsattn_jax.data.skeletons.load import load_parts
from gpsattn_jax.evaluation import classification
from gpsattn_jax.systems import reports
from gpsattn_jax.systems.gpsnet import tables
from gpsattn_jax.systems.gpsnet.baselines import baselines
from gpsattn_jax.systems.gpsnet.pictures import draw_attention
from gpsattn_jax.systems.gpsnet.run import probabilities, restore
from gpsattn_jax.training.config import Machine
from gpsattn_jax.visualize.confusion import confusion_figure


def report(
    workdir: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    choose: str = "latest",
    *,
    averaged: bool | None = None,
    data_dir: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> pathlib.Path:
    """Writes pictures, `scores.json` and `index.html`; returns the page's path.

    Args:
        workdir: of one trained run.
        folder: where to; `report/` in the workdir by default.
        choose: "latest" checkpoint, or the "best" on held-out clips.
        averaged: see `gpsnet.restore`.
        data_dir: the folder of data sets.
        with_baselines: whether rows that need no network are wanted.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no such run, or a file of data is not there.
    """
    folder = reports.report_folder(workdir, folder)
    run = restore(workdir, choose, averaged=averaged, machine=machine)
    config, parts = run.config, load_parts(run.config.data, data_dir)
    clips, shares = parts["test"], probabilities(run, parts["test"])
    found = tables.Evaluation(config, clips, len(parts["train"]), shares)
    rows = {}
    if with_baselines:
        plain = baselines([config], data_dir, workdir=workdir)
        rows = {name: share for name, (share,) in plain.items()}
    rows[tables.TITLE] = classification.accuracy(shares, clips.labels)
    drawings: reports.Drawings = _learning(workdir, parts) | {
        "Mistakes": (
            confusion_figure(tables.confusion([found]), clips.class_names),
            "Test clips by label and prediction.",
        ),
    }
    return reports.write_report(
        folder,
        f"GPS-Net on {config.data.name}, {config.model.stream} stream",
        run,
        [
            reports.accuracy_section(rows, _note(found, run.step), digits=1),
            reports.table_section("Classes", *tables.class_table([found])),
        ],
        drawings | draw_attention(run, clips, shares),
        {"test_clips": len(clips), "accuracy": rows},
        workdir=workdir,
        machine=machine,
    )


def _learning(workdir, parts):
    """Curves; without held-out clips what a run measures is no validation."""
    if "validation" in parts:
        held_out = f"Validation: {len(parts['validation'])} clips that were held out."
    else:
        held_out = "No clips were held out."
    return reports.learning(
        workdir,
        ("loss", "accuracy"),
        "Loss and accuracy by step; training sees changed clips, and its loss has "
        f"smoothed labels. {held_out}",
        validation="validation" in parts,
    )


def _note(found, step):
    return (
        f"{len(found.clips.class_names)} classes, split {found.config.data.split}: "
        f"trained on {found.train_clips} clips; {len(found.clips)} test clips, used "
        f"for nothing else; checkpoint of step {step}. GPS-Net here is reconstructed "
        "from its abstract; the paper's layer sizes, recipe and scores were not "
        "available to us."
    )
