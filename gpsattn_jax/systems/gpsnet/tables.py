"""GPS-Net's results as text and JSON: splits, seeds, streams, and their fusion."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from gpsattn_jax.data.skeletons.clip_folder import read_clips
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.evaluation import classification
from gpsattn_jax.evaluation.sequence_baselines import (
    sequence_baselines,
    sequence_vectors,
)
from gpsattn_jax.files import write_json
from gpsattn_jax.models.gpsnet import STREAMS
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.gpsnet.run import Config, Recognizer
from gpsattn_jax.systems.splits import chosen_splits
from gpsattn_jax.training.config import Machine

FUSION = {"joint": 2.0, "bone": 2.0, "joint_motion": 1.0, "bone_motion": 1.0}
TITLE = "GPS-Net (ours, reconstructed)"


@dataclasses.dataclass(frozen=True)
class Evaluated:
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


def train_runs(
    config: Config,
    workdir: str | os.PathLike,
    *,
    split: str | None = None,
    seeds: int = 1,
    stream: str | None = None,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains one run in `workdir`, or many in `split-0/seed-0/joint/…`, and evaluates.

    Finished runs are not trained again.

    Args:
        config: of the runs.
        workdir: checkpoints and logs.
        split: number of the split, or "all"; the config's own if None.
        seeds: so many, from the config's own on.
        stream: one of the streams, or "all"; the config's own if None.
        data_dir: the folder of data sets.
        machine: devices and processes.

    Raises:
        ValueError: if there is no such split, stream, or no seed.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1; got {seeds}.")
    splits = chosen_splits(
        split, config.data.split, lambda: gpsnet.num_splits(config.data, data_dir)
    )
    streams = _streams(config, stream)
    runs = list(itertools.product(splits, range(seeds), streams))
    for place, seed, name in runs:
        run = dataclasses.replace(
            config,
            model=dataclasses.replace(config.model, stream=name),
            data=dataclasses.replace(config.data, split=place),
            train=dataclasses.replace(config.train, seed=config.train.seed + seed),
        )
        if len(runs) == 1:
            gpsnet.train(run, workdir, data_dir=data_dir, machine=machine)
            return
        folder = pathlib.Path(workdir) / f"split-{place}" / f"seed-{seed}" / name
        print(folder, flush=True)
        gpsnet.train(run, folder, data_dir=data_dir, machine=machine)
    print_evaluation(workdir, data_dir=data_dir, machine=machine)


def print_evaluation(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    fuse: Sequence[float] | None = None,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> list[Evaluated]:
    """Prints accuracy on the test clips beside plain classifiers', and a class table.

    Writes `evaluation.json`, every clip's label and prediction, into each run's folder.
    A folder of runs gives mean ± sd (n - 1) over splits and seeds for each stream, and
    for their fusion where there are several.

    Args:
        workdir: of a run, or of many.
        choose: "latest" checkpoint, or the "best" on held-out clips.
        fuse: weights of the streams, in the order in which they are listed.
        data_dir: the folder of data sets.
        machine: devices and processes.

    Returns:
        The runs, or their fusions if there are several streams: one for each split and
        seed.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if the weights are not one for each stream.
    """
    by_run: dict[pathlib.Path, dict[str, Evaluated]] = {}
    for folder in _runs(pathlib.Path(workdir)):
        run = evaluate_run(folder, choose, data_dir=data_dir, machine=machine)
        by_run.setdefault(folder.parent, {})[run.config.model.stream] = run
    found: list[dict[str, Evaluated]] = list(by_run.values())
    streams = [s for s in STREAMS if any(s in one for one in found)]
    weights = _weights(streams, fuse)
    final = [_fused(one, weights) for one in found]
    rows = {
        f"{TITLE}, {name}": [_accuracy(one[name]) for one in found] for name in streams
    }
    if len(streams) > 1:
        told = ":".join(f"{weights[name]:g}" for name in streams)
        rows[f"{TITLE}, fused {told}"] = [_accuracy(one) for one in final]
    _print_accuracies(baselines(final, data_dir) | rows, final)
    _print_classes(final)
    return final


def evaluate_run(
    workdir: pathlib.Path,
    choose: str = "latest",
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> Evaluated:
    """A run on its test clips; writes its `evaluation.json`."""
    recognizer = gpsnet.restore(workdir, choose, machine=machine)
    parts = gpsnet.load_parts(recognizer.config.data, data_dir)
    clips = parts["test"]
    probabilities = recognizer.probabilities(clips)
    found = Evaluated(recognizer.config, clips, len(parts["train"]), probabilities)
    names, best = clips.class_names, probabilities.argmax(-1)
    rows = zip(clips.names, clips.labels, best, strict=True)
    write_json(
        workdir / "evaluation.json",
        {
            "step": recognizer.step,
            "accuracy": _accuracy(found),
            "clips": {
                clip: {"label": names[label], "predicted": names[told]}
                for clip, label, told in rows
            },
        },
    )
    return found


def write_confusion(found: Sequence[Evaluated], workdir: str | os.PathLike) -> None:
    """Writes `confusion.png` into the workdir, where matplotlib is at hand."""
    try:
        from gpsattn_jax.systems.gpsnet import report as gpsnet_report
    except ImportError:
        print("\nNo confusion.png: it needs matplotlib (the extra plot).")
        return
    path = pathlib.Path(workdir) / "confusion.png"
    print(f"\nConfusions: {gpsnet_report.confusion_picture(found, path)}")


def predict(
    recognizer: Recognizer,
    paths: Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
    top: int = 3,
) -> None:
    """Prints the likeliest classes of clip files, or of folders of them.

    Args:
        recognizer: a trained network.
        paths: files or folders of clips, see `clip_folder.read_clips`.
        output: optional JSON of all classes' probabilities.
        top: how many classes are printed.

    Raises:
        FileNotFoundError: if a file is not there, or a folder holds no clip.
        ValueError: names a file that is no clip of the recogniser's skeleton.
    """
    data = recognizer.config.data
    told: dict[str, dict[str, float]] = {}
    for path in paths:
        clips = read_clips(path, recognizer.layout, data.reading)
        if data.missing == "interpolate":
            clips = interpolated(clips)
        found = recognizer.probabilities(clips)
        for clip, shares in zip(clips.names, found, strict=True):
            told[clip] = {
                recognizer.class_names[place]: round(float(shares[place]), 6)
                for place in np.argsort(-shares)
            }
            best = list(told[clip].items())[:top]
            words = ", ".join(f"{name} {100 * share:.1f} %" for name, share in best)
            print(f"{clip}: {words}")
    if output is not None:
        write_json(output, told)
        print(f"Written to {output}.")


def _weights(streams: Sequence[str], fuse: Sequence[float] | None) -> dict[str, float]:
    if fuse is None:
        return {name: FUSION[name] for name in streams}
    if len(fuse) != len(streams):
        raise ValueError(
            f"fuse must be {len(streams)} weights, for {', '.join(streams)}; "
            f"got {list(fuse)}."
        )
    return dict(zip(streams, fuse, strict=True))


def _fused(found: Mapping[str, Evaluated], weights: Mapping[str, float]) -> Evaluated:
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


def baselines(
    final: Sequence[Evaluated], data_dir: str | os.PathLike | None = None
) -> dict[str, list[float]]:
    """Plain classifiers' accuracies by split; none where scikit-learn is missing."""
    rows: dict[str, list[float]] = {}
    by_split = {one.config.data.split: one.config for one in final}
    for config in by_split.values():
        parts = gpsnet.load_parts(config.data, data_dir)
        train, test = parts["train"], parts["test"]
        try:
            found = sequence_baselines(
                _vectors(train), train.labels, _vectors(test), test.labels
            )
        except ImportError:
            return {}
        for name, accuracy in found.items():
            rows.setdefault(name, []).append(accuracy)
    return rows


def _vectors(clips):
    """Of the first person alone."""
    first = [clips.clip(place)[0][:, 0] for place in range(len(clips))]
    return sequence_vectors(first, clips.layout.root)


def _print_accuracies(rows, final):
    told = final[0]
    counts = sorted({(one.train_clips, len(one.clips)) for one in final})
    sizes = " and ".join(f"{train} + {test}" for train, test in counts[:3])
    more = ", …" if len(counts) > 3 else ""
    data, classes = told.config.data, len(told.clips.class_names)
    print(
        f"\n{data.name}: {classes} classes, {sizes}{more} clips (train + test), "
        f"{len(final)} run{'s' * (len(final) > 1)}; accuracy in %:\n"
    )
    for title, found in sorted(rows.items(), key=lambda row: np.mean(row[1])):
        print(f"  {title:<60}{mean_sd(found):>16}")


def mean_sd(accuracies: Sequence[float]) -> str:
    """Accuracies in percent: mean ± sd of a sample, as text."""
    values = 100 * np.asarray(accuracies)
    text = f"{values.mean():.1f}"
    return f"{text} ± {values.std(ddof=1):.1f}" if len(values) > 1 else text


def _print_classes(final):
    """Of all runs together."""
    labels = np.concatenate([one.clips.labels for one in final])
    told = np.concatenate([one.probabilities.argmax(-1) for one in final])
    names = final[0].clips.class_names
    width = max(12, *map(len, names)) + 2
    head = f"{'class':<{width}}{'clips':>6}{'recall':>9}{'precision':>11}"
    of_all = f"  (clips of all {len(final)} runs)" if len(final) > 1 else ""
    print(f"\n  {head}   mistaken for{of_all}")
    for row in classification.class_table(told, labels, names):
        shares = (f"{100 * share:.1f}" for share in (row.recall, row.precision))
        recall, precision = (share.replace("nan", "-") for share in shares)
        print(
            f"  {row.name:<{width}}{row.clips:>6}{recall:>9}{precision:>11}"
            f"   {row.confused_with}".rstrip()
        )


def _runs(workdir):
    """The workdir itself, or the runs of all splits, seeds and streams within it."""
    found = sorted(workdir.glob("split-*/seed-*/*/checkpoints"))
    return [path.parent for path in found] or [workdir]


def _streams(config, stream):
    if stream is None:
        return [config.model.stream]
    return STREAMS if stream == "all" else [stream]
