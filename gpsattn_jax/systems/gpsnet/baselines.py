"""Plain classifiers beside GPS-Net, on the same clips."""

import functools
import os
from collections.abc import Sequence

from gpsattn_jax.data.skeletons.load import load_parts
from gpsattn_jax.evaluation.sequence_baselines import (
    NAMES,
    sequence_baselines,
    sequence_vectors,
)
from gpsattn_jax.systems.baseline_rows import content_mark, kept_rows
from gpsattn_jax.systems.gpsnet.setups import Config


def baselines(
    configs: Sequence[Config],
    data_dir: str | os.PathLike | None = None,
    *,
    workdir: str | os.PathLike,
) -> dict[str, list[float]]:
    """Plain classifiers' accuracies by split; none where scikit-learn is missing.

    Args:
        configs: of runs, which may share a split.
        data_dir: the folder of data sets.
        workdir: where they are kept, as long as the clips stay the same.
    """
    rows: dict[str, list[float]] = {}
    for config in {one.data.split: one for one in configs}.values():
        parts = load_parts(config.data, data_dir)
        train, test = parts["train"], parts["test"]
        given = _vectors(train), train.labels, _vectors(test), test.labels
        try:
            found = kept_rows(
                workdir,
                content_mark("clips", *given),
                functools.partial(sequence_baselines, *given),
                ", ".join(NAMES),
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
