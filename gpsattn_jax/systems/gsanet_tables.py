"""GSA-Net's results as text: beside baselines, over seeds, for a user's pictures."""

import dataclasses
import os
import pathlib

import numpy as np

from gpsattn_jax.data import images as image_data
from gpsattn_jax.evaluation.baselines import baseline_accuracies
from gpsattn_jax.systems import gsanet


def repeat(
    config: gsanet.Config, workdir: str | os.PathLike, seeds: int
) -> dict[str, float]:
    """Trains seeds 0, 1, … in folders of their own; finished ones are not run again.

    Returns:
        {"seeds", "mean", "sd"} of the test accuracy of the latest checkpoints; the
        deviation is that of a sample (n - 1).
    """
    accuracies = []
    for seed in range(seeds):
        folder = pathlib.Path(workdir) / f"seed-{seed}"
        settings = dataclasses.replace(config.train, seed=seed)
        gsanet.train(dataclasses.replace(config, train=settings), folder)
        accuracies.append(gsanet.evaluate(gsanet.restore(folder))["accuracy"])
        print(f"seed {seed}: test accuracy {100 * accuracies[-1]:.2f} %", flush=True)
    sd = float(np.std(accuracies, ddof=1)) if seeds > 1 else float("nan")
    return {"seeds": seeds, "mean": float(np.mean(accuracies)), "sd": sd}


def baselines(config: gsanet.Config) -> dict[str, float]:
    """Test accuracy of plain classifiers on the same split, from scikit-learn."""
    sets = image_data.load(config.data.name)
    return baseline_accuracies(
        sets["train"].images,
        sets["train"].labels,
        sets["test"].images,
        sets["test"].labels,
    )


def print_evaluation(workdir: str | os.PathLike, choose: str = "latest") -> None:
    """Prints the accuracy on the test images beside the baselines'."""
    classifier = gsanet.restore(workdir, choose)
    measured = gsanet.evaluate(classifier)
    rows = baselines(classifier.config) | {
        network_name(classifier.config): measured["accuracy"]
    }
    print(f"\nAccuracy on {measured['images']} test images, step {classifier.step}:\n")
    for name, accuracy in sorted(rows.items(), key=lambda row: row[1]):
        print(f"  {name:<24}{100 * accuracy:6.2f} %")


def print_repeats(
    config: gsanet.Config, workdir: str | os.PathLike, seeds: int
) -> None:
    """Trains several seeds and prints mean and deviation beside the baselines."""
    found = repeat(config, workdir, seeds)
    rows = {name: f"{100 * share:.2f}" for name, share in baselines(config).items()}
    rows[network_name(config)] = f"{100 * found['mean']:.2f} ± {100 * found['sd']:.2f}"
    print(f"\nTest accuracy in %, mean ± sd of {seeds} seeds:\n")
    for name, text in rows.items():
        print(f"  {name:<24}{text}")


def print_predictions(
    workdir: str | os.PathLike,
    images: str | os.PathLike,
    output: str | os.PathLike | None = None,
    *,
    choose: str = "latest",
    invert: bool = False,
) -> None:
    """Prints the top classes of each image file; `output` also gets them as CSV."""
    for file, classes in gsanet.predict(
        workdir, images, output, choose=choose, invert=invert
    ):
        shown = "   ".join(f"{name} {100 * share:5.1f} %" for name, share in classes)
        print(f"{file}   {shown}")
    if output is not None:
        print(f"Written to {output}.")


def network_name(config: gsanet.Config) -> str:
    """What a table calls the network: GSA-Net, or the ResNet twin without attention."""
    return f"{'GSA-Net' if any(config.model.attention) else 'ResNet'} (ours)"
