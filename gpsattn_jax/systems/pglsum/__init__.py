"""PGL-SUM: from annotated videos to a trained, evaluated summariser."""

import os
import pathlib
from typing import Any

from gpsattn_jax.systems.pglsum.artefact import export
from gpsattn_jax.systems.pglsum.planning import programs
from gpsattn_jax.systems.pglsum.prediction import predict
from gpsattn_jax.systems.pglsum.run import restore, score_steps, train
from gpsattn_jax.systems.pglsum.setups import SETUPS, Config
from gpsattn_jax.systems.pglsum.tables import evaluate, evaluate_weights
from gpsattn_jax.systems.pglsum.videos import num_splits

__all__ = [
    "SETUPS", "Config",
    "evaluate", "evaluate_weights", "export", "num_splits", "predict", "programs",
    "report", "restore", "score_steps", "train",
]  # fmt: skip


def report(workdir: str | os.PathLike, *arguments: Any, **options: Any) -> pathlib.Path:
    """Writes a page on a run; see `pglsum.page.report`."""
    from gpsattn_jax.systems.pglsum import page  # needs matplotlib

    return page.report(workdir, *arguments, **options)
