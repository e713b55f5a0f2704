"""An image classifier's results as text: beside baselines, over seeds, for pictures."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gpsattn_jax.evaluation.baselines import MOST_NEIGHBOURS, baseline_accuracies
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier.prediction import Predictions, predict
from gpsattn_jax.systems.image_classifier.run import Classifier, System
from gpsattn_jax.training.config import Machine

__all__ = [
    "baselines",
    "predict",
    "print_evaluation",
    "print_predictions",
    "print_repeats",
]

# Baselines hold all pixels at once, as float32: beyond 8 GB there are none.
MOST_PIXEL_VALUES = 2**31


def baselines(
    config: Any, data_dir: str | os.PathLike | None = None
) -> dict[str, float]:
    """Test accuracy of plain classifiers on the same split, from scikit-learn.

    None for sets whose pixels are too many for them, as ImageNet's.
    """
    sets = image_classifier.load_sets(config, data_dir)
    train, test = sets["train"], sets["test"]
    count = min(len(train), MOST_NEIGHBOURS) + len(test)
    values = count * config.model.image_size**2 * config.model.in_channels
    return baseline_accuracies(train, test) if values <= MOST_PIXEL_VALUES else {}


def print_evaluation(
    classifier: Classifier,
    name: str,
    *,
    averaged: Classifier | None = None,
    data_dir: str | os.PathLike | None = None,
    folder: str | os.PathLike | None = None,
) -> None:
    """Prints the accuracy on the test images beside the baselines'.

    Args:
        classifier: a trained network.
        name: what the table calls it.
        averaged: the same with the moving averages of its weights.
        data_dir: the folder of data sets.
        folder: of class folders to score instead of the run's test images, without
            baselines.
    """
    measured = image_classifier.evaluate(classifier, data_dir, folder)
    rows = {} if folder else baselines(classifier.config, data_dir)
    rows |= {name: measured["accuracy"]}
    if averaged is not None:
        scores = image_classifier.evaluate(averaged, data_dir, folder)
        rows[f"{name}, averaged weights"] = scores["accuracy"]
    print(f"\nAccuracy on {measured['images']} test images, step {classifier.step}:\n")
    for title, accuracy in sorted(rows.items(), key=lambda row: row[1]):
        print(f"  {title:<34}{100 * accuracy:6.2f} %")


def print_repeats(
    system: System,
    config: Any,
    workdir: str | os.PathLike,
    seeds: int,
    name: Callable[[Any], str],
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains seeds 0, 1, … in folders of their own; prints mean and deviation.

    Finished seeds are not trained again. The test accuracy is that of the last
    checkpoint; the deviation is that of a sample (n - 1).
    """
    accuracies = []
    for seed in range(seeds):
        folder = pathlib.Path(workdir) / f"seed-{seed}"
        settings = dataclasses.replace(config.train, seed=seed)
        image_classifier.train(
            system,
            dataclasses.replace(config, train=settings),
            folder,
            data_dir=data_dir,
            machine=machine,
        )
        classifier = image_classifier.restore(system, folder, machine=machine)
        found = image_classifier.evaluate(classifier, data_dir)
        accuracies.append(found["accuracy"])
        print(f"seed {seed}: test accuracy {100 * accuracies[-1]:.2f} %", flush=True)
    mean, sd = np.mean(accuracies), np.std(accuracies, ddof=1 if seeds > 1 else 0)
    shares = baselines(config, data_dir).items()
    rows = {title: f"{100 * share:.2f}" for title, share in shares}
    rows[name(config)] = f"{100 * mean:.2f} ± {100 * sd:.2f}"
    print(f"\nTest accuracy in %, mean ± sd of {seeds} seeds:\n")
    for title, text in rows.items():
        print(f"  {title:<34}{text}")


def print_predictions(found: Predictions, output: str | os.PathLike | None) -> None:
    """Nothing more: `predict` prints each picture's classes as they come."""
    del found, output
