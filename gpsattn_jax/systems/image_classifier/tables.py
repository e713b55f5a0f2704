"""An image classifier's results as text: beside baselines, over runs, for pictures."""

import dataclasses
import os
from typing import Any

import numpy as np

from gpsattn_jax.data.fingerprints import fingerprint
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.evaluation.baselines import (
    MOST_NEIGHBOURS,
    baseline_accuracies,
    baseline_names,
)
from gpsattn_jax.systems.baseline_rows import content_mark, kept_rows
from gpsattn_jax.systems.grids import run_folders
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.image_classifier.run import (
    load_sets,
    restore,
    score_test_images,
)
from gpsattn_jax.systems.named_networks import is_workdir
from gpsattn_jax.systems.tables import (
    print_accuracies,
)
from gpsattn_jax.training.config import Machine

# Baselines hold all pixels at once, as float32: beyond 8 GB there are none.
MOST_PIXEL_VALUES = 2**31


def baselines(
    config: Any,
    data_dir: str | os.PathLike | None = None,
    *,
    workdir: str | os.PathLike,
) -> dict[str, float]:
    """Test accuracy of plain classifiers on the same split, from scikit-learn.

    None for sets whose pixels are too many for them, as ImageNet's.

    Args:
        config: of the run.
        data_dir: the folder of data sets.
        workdir: where they are kept, as long as the images stay the same.
    """
    sets = load_sets(config, data_dir)
    train, test = sets["train"], sets["test"]
    count = min(len(train), MOST_NEIGHBOURS) + len(test)
    values = count * config.model.image_size**2 * config.model.in_channels
    if values > MOST_PIXEL_VALUES:
        return {}
    return kept_rows(
        workdir,
        content_mark("images", _mark(train), _mark(test)),
        lambda: baseline_accuracies(train, test),
        ", ".join(baseline_names(train)),
    )


def _mark(images):
    """Changes with pixels and labels; of files their names, lengths and dates stand."""
    if not isinstance(images, ImageFiles):
        pixels = images.batch(np.arange(len(images)), None)["inputs"]["images"]
        return content_mark(pixels, images.labels)
    # What random crops are made of plays no part.
    crop = dataclasses.replace(images.crop, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    return content_mark(fingerprint(images.store), images.labels, crop)


def evaluate(
    system: ImageClassifier,
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    data_dir: str | os.PathLike | None = None,
    folder: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> dict[str, list[float]]:
    """Prints the accuracy on the test images beside the baselines'.

    With averaged weights too, if the run kept them. A folder of runs (`seed-0/…`) gives
    mean ± sd (n - 1) over all of them.

    Args:
        system: whose run it is.
        workdir: of a run, or of many.
        choose: "latest" checkpoint, or the "best" on the validation images.
        data_dir: the folder of data sets.
        folder: of class folders to score instead of the run's test images, without
            baselines.
        with_baselines: whether plain classifiers' rows are wanted.
        machine: devices and processes.

    Returns:
        {name in the table: accuracies, one for each run}.

    Raises:
        FileNotFoundError: if there is no finished run.
    """
    rows: dict[str, list[float]] = {}
    workdirs = run_folders(workdir)
    for one in workdirs:
        run = restore(system, one, choose, machine=machine)
        name = f"{system.title(run.config)} (ours)"
        found = score_test_images(run, data_dir, folder)
        rows.setdefault(name, []).append(found["accuracy"])
        if run.config.train.ema_decay and is_workdir(one):
            averaged = restore(system, one, choose, averaged=True, machine=machine)
            accuracy = score_test_images(averaged, data_dir, folder)["accuracy"]
            rows.setdefault(f"{name}, averaged weights", []).append(accuracy)
        if len(workdirs) > 1:
            print(f"{one}: {100 * found['accuracy']:.2f} %", flush=True)
    shares = {}
    if with_baselines and not folder:
        shares = baselines(run.config, data_dir, workdir=workdir)
    plain = {name: [share] for name, share in shares.items()}
    of_runs = f"{len(workdirs)} runs" if len(workdirs) > 1 else f"step {run.step}"
    title = f"{found['images']} test images, {of_runs}; accuracy in %"
    print_accuracies(title, plain | rows, digits=2)
    return rows
