"""GPS-Net's results on test clips: splits, seeds, streams, and their fusion."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.load import load_parts
from gpsattn_jax.evaluation import classification
from gpsattn_jax.files import write_json
from gpsattn_jax.models.gpsnet import STREAMS
from gpsattn_jax.systems.gpsnet.baselines import baselines
from gpsattn_jax.systems.gpsnet.run import probabilities, restore
from gpsattn_jax.systems.gpsnet.setups import Config
from gpsattn_jax.systems.grids import run_folders
from gpsattn_jax.systems.named_networks import results_folder
from gpsattn_jax.systems.tables import mean_sd, print_accuracies, print_table
from gpsattn_jax.training.config import Machine

FUSION = {"joint": 2.0, "bone": 2.0, "joint_motion": 1.0, "bone_motion": 1.0}
TITLE = "GPS-Net (ours, reconstructed)"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A run on its test clips.

    Attributes:
        config: of the run.
        clips: the test clips.
        train_clips: how many clips it was trained on.
        probabilities: [n, classes].
    """

    config: Config
    clips: Clips
    train_clips: int
    probabilities: np.ndarray


def evaluate(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    fuse: Sequence[float] | None = None,
    samplings: int = 0,
    data_dir: str | os.PathLike | None = None,
    with_baselines: bool = True,
    machine: Machine | None = None,
) -> list[Evaluation]:
    """Prints accuracy on the test clips beside plain classifiers', and a class table.

    Writes `evaluation.json`, every clip's label and prediction, into each run's folder,
    and `confusion.png` into the workdir where matplotlib is installed. A folder of runs
    gives mean ± sd (n - 1) over splits and seeds for each stream, and for their fusion
    where there are several.

    Args:
        workdir: of a run, or of many.
        choose: "latest" checkpoint, or the "best" on held-out clips.
        fuse: weights of the streams, in the order in which they are listed.
        samplings: random draws of frames, see `run.probabilities`; the table's rows
            say how many.
        data_dir: the folder of data sets.
        with_baselines: whether plain classifiers' rows are wanted.
        machine: devices and processes.

    Returns:
        The runs, or their fusions if there are several streams: one for each split and
        seed.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if the weights are not one for each stream.
    """
    by_seed: dict[pathlib.Path, dict[str, Evaluation]] = {}
    for folder in run_folders(workdir):
        run = evaluate_run(
            folder, choose, samplings=samplings, data_dir=data_dir, machine=machine
        )
        by_seed.setdefault(folder.parent, {})[run.config.model.stream] = run
    found: list[dict[str, Evaluation]] = list(by_seed.values())
    streams = [s for s in STREAMS if any(s in one for one in found)]
    weights = _weights(streams, fuse)
    final = [_fused(one, weights) for one in found]
    title = f"{TITLE}, mean of {samplings} samplings" if samplings else TITLE
    rows = {
        f"{title}, {name}": [_accuracy(one[name]) for one in found] for name in streams
    }
    if len(streams) > 1:
        ratio = ":".join(f"{weights[name]:g}" for name in streams)
        rows[f"{title}, fused {ratio}"] = [_accuracy(one) for one in final]
    plain = {}
    if with_baselines:
        configs = [one.config for one in final]
        plain = baselines(configs, data_dir, workdir=workdir)
    print_accuracies(_title(final), plain | rows)
    head, cells = class_table(final)
    of_all = f" of all {len(final)} runs" if len(final) > 1 else ""
    print_table(f"Test clips{of_all} by class, shares in %", cells, head)
    _draw_confusion(final, results_folder(workdir) / "confusion.png")
    return final


def evaluate_run(
    workdir: pathlib.Path,
    choose: str = "latest",
    *,
    averaged: bool | None = None,
    samplings: int = 0,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> Evaluation:
    """One run on its test clips; writes its `evaluation.json`."""
    run = restore(workdir, choose, averaged=averaged, machine=machine)
    parts = load_parts(run.config.data, data_dir)
    clips = parts["test"]
    shares = probabilities(run, clips, samplings)
    found = Evaluation(run.config, clips, len(parts["train"]), shares)
    names, best = clips.class_names, shares.argmax(-1)
    rows = zip(clips.names, clips.labels, best, strict=True)
    write_json(
        results_folder(workdir) / "evaluation.json",
        {
            "step": run.step,
            "samplings": samplings,
            "accuracy": _accuracy(found),
            "clips": {
                clip: {"label": names[label], "predicted": names[guess]}
                for clip, label, guess in rows
            },
        },
    )
    return found


def confusion(found: Sequence[Evaluation]) -> np.ndarray:
    """How many test clips of all runs have each (label, prediction)."""
    count = len(found[0].clips.class_names)
    predicted = (one.probabilities.argmax(-1) for one in found)
    return np.sum(
        [
            classification.confusion_matrix(best, one.clips.labels, count)
            for best, one in zip(predicted, found, strict=True)
        ],
        axis=0,
    )


def _draw_confusion(found, path):
    try:
        from gpsattn_jax.visualize import confusion as pictures
        from gpsattn_jax.visualize import figures
    except ImportError:
        print("\nNo confusion.png: it needs matplotlib (the extra plot).")
        return
    names = found[0].clips.class_names
    figure = pictures.confusion_figure(confusion(found), names)
    print(f"\nConfusions: {figures.write(figure, path)}")


def _weights(streams: Sequence[str], fuse: Sequence[float] | None) -> dict[str, float]:
    if fuse is None:
        return {name: FUSION[name] for name in streams}
    if len(fuse) != len(streams):
        raise ValueError(
            f"fuse must be {len(streams)} weights, for {', '.join(streams)}; "
            f"got {list(fuse)}."
        )
    return dict(zip(streams, fuse, strict=True))


def _fused(found: Mapping[str, Evaluation], weights: Mapping[str, float]) -> Evaluation:
    """The streams of one split and seed as one."""
    missing = [name for name in weights if name not in found]
    if missing:
        raise ValueError(
            f"to fuse, every split and seed must have {', '.join(weights)}; "
            f"one lacks {', '.join(missing)}."
        )
    streams = [found[name].probabilities for name in weights]
    fused = classification.fuse(streams, list(weights.values()))
    return dataclasses.replace(next(iter(found.values())), probabilities=fused)


def _accuracy(found):
    return classification.accuracy(found.probabilities, found.clips.labels)


def _title(final):
    one = final[0]
    counts = sorted({(one.train_clips, len(one.clips)) for one in final})
    sizes = " and ".join(f"{train} + {test}" for train, test in counts[:3])
    more = ", …" if len(counts) > 3 else ""
    return (
        f"{one.config.data.name}: {len(one.clips.class_names)} classes, {sizes}{more} "
        f"clips (train + test), {len(final)} run{'s' * (len(final) > 1)}; "
        "accuracy in %"
    )


def class_table(found: Sequence[Evaluation]) -> tuple[list[str], dict[str, list[str]]]:
    """(head, cells by class) of the test clips of all runs together."""
    labels = np.concatenate([one.clips.labels for one in found])
    predicted = np.concatenate([one.probabilities.argmax(-1) for one in found])
    cells = {}
    for row in classification.class_table(
        predicted, labels, found[0].clips.class_names
    ):
        shares = [mean_sd([100 * share]) for share in (row.recall, row.precision)]
        cells[row.name] = [str(row.clips), *shares, row.confused_with]
    return ["clips", "recall", "precision", "mistaken for"], cells
