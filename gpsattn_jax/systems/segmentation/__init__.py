"""Semantic segmentation: a class for each pixel, over the maps of an image network.

Detection is not here: the maps of both networks come out with `features_only`.
"""

import os
import pathlib
from typing import Any

from gpsattn_jax.systems.segmentation.artefact import export
from gpsattn_jax.systems.segmentation.pixels import segment
from gpsattn_jax.systems.segmentation.planning import programs
from gpsattn_jax.systems.segmentation.prediction import predict
from gpsattn_jax.systems.segmentation.run import restore, train
from gpsattn_jax.systems.segmentation.setups import SETUPS, Config
from gpsattn_jax.systems.segmentation.tables import evaluate

__all__ = [
    "SETUPS", "Config", "evaluate", "export", "predict", "programs", "report",
    "restore", "segment", "train",
]  # fmt: skip


def report(workdir: str | os.PathLike, *arguments: Any, **options: Any) -> pathlib.Path:
    """Writes a page on a run; see `segmentation.page.report`."""
    from gpsattn_jax.systems.segmentation import page  # needs matplotlib

    return page.report(workdir, *arguments, **options)
