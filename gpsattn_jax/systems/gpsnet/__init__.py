"""GPS-Net: from clips of joints to a trained recogniser of actions."""

import os
import pathlib
from typing import Any

from gpsattn_jax.data.skeletons.load import num_splits
from gpsattn_jax.models.gpsnet import STREAMS
from gpsattn_jax.systems.gpsnet.artefact import export
from gpsattn_jax.systems.gpsnet.planning import programs
from gpsattn_jax.systems.gpsnet.prediction import predict
from gpsattn_jax.systems.gpsnet.run import probabilities, restore, train
from gpsattn_jax.systems.gpsnet.setups import SETUPS, Config
from gpsattn_jax.systems.gpsnet.tables import evaluate

__all__ = [
    "SETUPS", "STREAMS", "Config",
    "evaluate", "export", "num_splits", "predict", "probabilities", "programs",
    "report", "restore", "train",
]  # fmt: skip


def report(workdir: str | os.PathLike, *arguments: Any, **options: Any) -> pathlib.Path:
    """Writes a page on a run; see `gpsnet.page.report`."""
    from gpsattn_jax.systems.gpsnet import page  # needs matplotlib

    return page.report(workdir, *arguments, **options)
