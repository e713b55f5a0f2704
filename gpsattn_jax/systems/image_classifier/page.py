"""The report of an image classifier's run: scores, curves, mistakes, pictures."""

import os
import pathlib

import numpy as np

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.evaluation import classification
from gpsattn_jax.systems import reports
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.image_classifier.run import (
    check_held_out,
    load_sets,
    probabilities,
    restore,
    scores,
)
from gpsattn_jax.systems.image_classifier.tables import baselines
from gpsattn_jax.training.config import Machine
from gpsattn_jax.visualize.confusion import confusion_figure


def report(
    system: ImageClassifier,
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
        system: whose run it is; its own pictures follow those of every classifier.
        workdir: of one trained run.
        folder: where to; `report/` in the workdir if None.
        choose: "latest" checkpoint, or the "best" on the validation images.
        averaged: take the moving averages of the weights.
        data_dir: the folder of data sets.
        with_baselines: whether rows that need no network are wanted.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no such run, or a file of data is not there.
    """
    folder = reports.report_folder(workdir, folder)
    run = restore(system, workdir, choose, averaged=averaged, machine=machine)
    sets = load_sets(run.config, data_dir)
    check_held_out(run, sets)
    test = sets["test"]
    shares, title = probabilities(run, test), system.title(run.config)
    measured = scores(shares, test.labels)["accuracy"]
    plain = {}
    if with_baselines:
        plain = baselines(run.config, data_dir, workdir=workdir)
    rows = plain | {f"{title} (ours)": measured}
    counts = classification.confusion_matrix(
        shares.argmax(-1), test.labels, len(test.class_names)
    )
    note = (
        f"{len(test)} test images, used for nothing else; checkpoint of step "
        f"{run.step}."
    )
    drawings: reports.Drawings = reports.learning(
        workdir,
        ("loss", "accuracy"),
        "Loss and accuracy by step; the training loss has smoothed labels.",
    ) | {
        "Mistakes": (
            confusion_figure(counts, test.class_names),
            "Test images by label and prediction.",
        ),
    }
    return reports.write_report(
        folder,
        f"{title} on {run.config.data.name}",
        run,
        [reports.accuracy_section(rows, note, digits=2)],
        drawings | system.draw(run, test, shares),
        {"test_images": len(test), "accuracy": rows},
        workdir=workdir,
        machine=machine,
    )


def images_to_show(
    images: Images, shares: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Some images to look at; see `reports.examples_to_show`.

    Args:
        images: n to choose from.
        shares: [n, classes], the network's probabilities for them.
        count: how many.

    Returns:
        (places [count], pixels [count, H, W, C] in 0..1, each one's label and class).
    """
    predicted = shares.argmax(-1)
    chosen = reports.examples_to_show(images.labels, predicted, count)
    pixels = images.batch(chosen, None)["inputs"]["images"]
    pixels = pixels / 255 if pixels.dtype == np.uint8 else pixels
    names = images.class_names
    titles = []
    for label, found in zip(images.labels[chosen], predicted[chosen], strict=True):
        result = "recognised" if found == label else f"taken for {names[found]}"
        titles.append(f"{names[label]}\n{result}")
    return chosen, pixels, titles
