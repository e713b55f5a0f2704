"""A segmenter's results as text: mean IoU beside a trivial baseline, by class."""

import os
import pathlib
from typing import Any

import numpy as np

from gpsattn_jax.data.images.sets import check_same_classes
from gpsattn_jax.data.segmentation import Masked
from gpsattn_jax.data.segmentation.folders import read_part
from gpsattn_jax.evaluation import segmentation
from gpsattn_jax.systems.grids import run_folders
from gpsattn_jax.systems.named_networks import is_workdir
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.segmentation.pixels import count_pixels, scores
from gpsattn_jax.systems.segmentation.run import load_sets, restore, title
from gpsattn_jax.systems.tables import mean_sd, print_table
from gpsattn_jax.training.config import Machine

HEAD = ("mean IoU", "pixel accuracy")
PROGRESS = "Segmenting pictures"


def evaluate(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    data_dir: str | os.PathLike | None = None,
    folder: str | os.PathLike | None = None,
    window: int | None = None,
    stride: int | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> dict[str, list[float]]:
    """Prints mean IoU and pixel accuracy on the test pictures, and the IoU by class.

    With averaged weights too, if the run kept them. A folder of runs (`seed-0/…`) gives
    mean ± sd (n - 1) over all of them.

    Args:
        workdir: of a run, or of many.
        choose: "latest" checkpoint, or the "best" on the validation pictures.
        data_dir: the folder of data sets.
        folder: of `images/` and `masks/` to score instead of the run's test pictures.
        window: see `pixels.segment`.
        stride: likewise.
        with_baselines: whether the row that needs no network is wanted.
        machine: devices and processes.

    Returns:
        {name in the table: mean IoUs, one for each run}.

    Raises:
        FileNotFoundError: if there is no finished run.
    """
    found: dict[str, list[np.ndarray]] = {}
    how: dict[str, Any] = {"window": window, "stride": stride, "title": PROGRESS}
    workdirs = run_folders(workdir)
    for one in workdirs:
        run = restore(one, choose, machine=machine)
        test = test_pictures(run, data_dir, folder)
        name = f"{title(run.config)} (ours)"
        counts = count_pixels(run, test, **how)
        found.setdefault(name, []).append(counts)
        if run.config.train.ema_decay and is_workdir(one):
            averaged = restore(one, choose, averaged=True, machine=machine)
            counts = count_pixels(averaged, test, **how)
            found.setdefault(f"{name}, averaged weights", []).append(counts)
        if len(workdirs) > 1:
            share = segmentation.mean_iou(found[name][-1])
            print(f"{one}: {100 * share:.2f} %", flush=True)
    rows = dict(found)
    if with_baselines:
        rows = baseline(run, counts) | rows
    of_runs = f"{len(workdirs)} runs" if len(workdirs) > 1 else f"step {run.step}"
    print_table(
        f"{len(test)} test pictures, {of_runs}; in %",
        {name: _cells(each) for name, each in rows.items()},
        HEAD,
    )
    print_table("IoU by class, in %", by_class(rows, run.class_names), list(rows))
    return {
        name: [segmentation.mean_iou(counts) for counts in each]
        for name, each in rows.items()
    }


def baseline(run: TrainedRun, counts: np.ndarray) -> dict[str, list[np.ndarray]]:
    """A row for the commonest class said of every pixel.

    Args:
        run: names the classes.
        counts: of any predictions for the masks that are scored.
    """
    commonest = int(counts.sum(1).argmax())
    name = f"{run.class_names[commonest]} everywhere"
    return {name: [segmentation.constant_counts(counts, commonest)]}


def by_class(
    rows: dict[str, list[np.ndarray]], class_names: tuple[str, ...]
) -> dict[str, list[str]]:
    """A line for each class: its IoU in percent, mean over the runs of each row."""
    ious = [
        [100 * segmentation.class_ious(counts) for counts in each]
        for each in rows.values()
    ]
    return {
        name: [mean_sd([run[place] for run in each]) for each in ious]
        for place, name in enumerate(class_names)
    }


def test_pictures(
    run: TrainedRun,
    data_dir: str | os.PathLike | None = None,
    folder: str | os.PathLike | None = None,
) -> Masked:
    """What a run is scored on, once it is sure that classes mean what they did.

    Args:
        run: a trained network.
        data_dir: the folder of data sets.
        folder: of `images/` and `masks/` to score instead, whose classes are the run's.

    Raises:
        ValueError: names the classes that changed since the training, or the folder
            whose held-out pictures may have been trained on.
    """
    config, names = run.config, run.class_names
    if folder is not None:
        model = config.model
        return read_part(
            pathlib.Path(folder), names, model.image_size, model.in_channels
        )
    sets = load_sets(config, data_dir)
    test = sets["test"]
    if test.held_out:
        run.check_same_examples(len(sets["train"]), config.data.folder)
    check_same_classes(names, test.class_names, f"data.name={config.data.name}")
    return test


def _cells(each):
    found = [scores(counts) for counts in each]
    return [
        mean_sd([100 * one[name] for one in found], digits=2)
        for name in ("mean_iou", "accuracy")
    ]
