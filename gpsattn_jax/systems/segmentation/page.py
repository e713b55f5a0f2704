"""The report of a segmentation run: scores, curves, masks over pictures."""

import os
import pathlib

import numpy as np

from gpsattn_jax.data.segmentation import Masked
from gpsattn_jax.evaluation import segmentation
from gpsattn_jax.systems import reports
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.segmentation.pixels import count_pixels, scores, segment
from gpsattn_jax.systems.segmentation.run import restore, title
from gpsattn_jax.systems.segmentation.tables import (
    HEAD,
    PROGRESS,
    baseline,
    by_class,
    test_pictures,
)
from gpsattn_jax.training.config import Machine
from gpsattn_jax.visualize.masks import masks_figure
from gpsattn_jax.visualize.palette import class_colors

EXAMPLES = 6


def report(
    workdir: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    choose: str = "latest",
    *,
    averaged: bool = False,
    data_dir: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> pathlib.Path:
    """Writes pictures, `scores.json` and `index.html`; returns the page's path.

    Args:
        workdir: of one trained run.
        folder: where to; `report/` in the workdir if None.
        choose: "latest" checkpoint, or the "best" on the validation pictures.
        averaged: take the moving averages of the weights.
        data_dir: the folder of data sets.
        with_baselines: whether the row that needs no network is wanted.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no such run, or a file of data is not there.
    """
    folder = reports.report_folder(workdir, folder)
    run = restore(workdir, choose, averaged=averaged, machine=machine)
    test = test_pictures(run, data_dir)
    counts = count_pixels(run, test, title=PROGRESS)
    rows = baseline(run, counts) if with_baselines else {}
    rows |= {f"{title(run.config)} (ours)": [counts]}
    found = {name: scores(each[0]) for name, each in rows.items()}
    cells = {
        name: [f"{100 * value:.2f} %" for value in each.values()]
        for name, each in found.items()
    }
    heading, table = reports.table_section("Scores", HEAD, cells)
    note = (
        f"<p>{len(test)} test pictures, used for nothing else; checkpoint of step "
        f"{run.step}.</p>"
    )
    ious = reports.table_section(
        "IoU by class, in %", list(rows), by_class(rows, run.class_names)
    )
    drawings: reports.Drawings = reports.learning(
        workdir,
        ("loss", "mean_iou"),
        "Loss of the training batches, and mean IoU of the validation pictures.",
    ) | {"Masks": _draw(run, test)}
    return reports.write_report(
        folder,
        f"{title(run.config)} on {run.config.data.name}",
        run,
        [(heading, note + table), ious],
        drawings,
        {"test_pictures": len(test), "scores": found},
        workdir=workdir,
        machine=machine,
    )


def _draw(run: TrainedRun, test: Masked) -> reports.Drawing:
    """Some test pictures under their masks and the network's, evenly over the set."""
    places = np.linspace(0, len(test) - 1, min(EXAMPLES, len(test))).astype(int)
    scenes = [test.whole(place) for place in places]
    predicted = [
        logits.argmax(-1) for logits in segment(run, (picture for picture, _ in scenes))
    ]
    titles, masks = [], []
    for (_, mask), found in zip(scenes, predicted, strict=True):
        counts = segmentation.pixel_counts(found, mask, len(run.class_names))
        titles.append(f"mean IoU {100 * segmentation.mean_iou(counts):.0f} %")
        masks.append([("mask", mask), ("network", found)])
    figure = masks_figure(
        [picture for picture, _ in scenes],
        masks, titles, run.class_names, class_colors(),
    )  # fmt: skip
    return figure, (
        "Test pictures, evenly over the set, under their masks and under what the "
        "network says; beside each the mean IoU over the classes that are there."
    )
