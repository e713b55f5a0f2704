"""The journey of every image classifier; a system binds its own record to it."""

import os
import pathlib
from typing import Any

from gpsattn_jax.systems.image_classifier.artefact import export
from gpsattn_jax.systems.image_classifier.planning import programs
from gpsattn_jax.systems.image_classifier.prediction import predict
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.image_classifier.run import probabilities, restore, train
from gpsattn_jax.systems.image_classifier.tables import evaluate

__all__ = [
    "ImageClassifier",
    "evaluate", "export", "predict", "probabilities", "programs", "report", "restore",
    "train",
]  # fmt: skip


def report(
    system: ImageClassifier,
    workdir: str | os.PathLike,
    *arguments: Any,
    **options: Any,
) -> pathlib.Path:
    """Writes a page on a run; see `image_classifier.page.report`."""
    from gpsattn_jax.systems.image_classifier import page  # needs matplotlib

    return page.report(system, workdir, *arguments, **options)
