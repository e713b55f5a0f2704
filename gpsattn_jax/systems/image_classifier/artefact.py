"""An image classifier as something to export: pictures in, probabilities out."""

import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gpsattn_jax import convert
from gpsattn_jax.convert.files import read
from gpsattn_jax.systems.export.check import finish
from gpsattn_jax.systems.export.models import Model, network_model
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.image_classifier.run import normalize, restore
from gpsattn_jax.systems.named_networks import find
from gpsattn_jax.systems.run_files import TrainedRun, holds_run


def export(
    system: ImageClassifier,
    source: str | os.PathLike,
    output: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool = False,
    size: int | None = None,
    **options: Any,
) -> None:
    """Writes a run, or a file of weights, as an artefact, and checks it.

    Args:
        system: which.
        source: a workdir or a file, see `open_model`.
        output: the artefact.
        choose: of a run: the "latest" checkpoint, or the "best" one.
        averaged: of a run: the moving averages of the weights.
        size: of a file: pixels of a side.
        **options: of `export.check.finish`.
    """
    model = open_model(system, source, choose=choose, averaged=averaged, size=size)
    finish(model, output, **options)


def classifier_model(run: TrainedRun, metadata: Mapping[str, Any]) -> Model:
    """A trained classifier: images [b, H, W, C], float32 in 0..1 -> probabilities.

    The run's normalisation and the softmax are inside, so that a picture goes in and
    [b, classes] comes out, each row of which sums to one.
    """
    config = run.config
    inputs = _images(config.model.image_size, config.model.in_channels)
    inner = network_model(run.network, run.params, run.state, inputs, metadata)

    def forward(images):
        return jax.nn.softmax(inner.forward(images=normalize(config.data, images)))

    facts = {
        "takes": "pictures with values in 0..1; (images - mean) / std happens inside",
        "gives": "probabilities of class_names",
        "class_names": run.class_names,
        "mean": config.data.mean,
        "std": config.data.std,
        "step": run.step,
    }
    return Model(forward, inputs, {**metadata, **facts})


def open_model(
    system: ImageClassifier,
    source: str | os.PathLike,
    *,
    choose: str = "latest",
    averaged: bool = False,
    size: int | None = None,
) -> Model:
    """A run, or a file of weights, as something to export.

    A run gives `classifier_model`. A file knows neither mean nor classes: its network
    takes normalised images [b, size, size, C] and gives logits.

    Args:
        system: which.
        source: a workdir, or a file as `convert.load` reads it.
        choose: of a run: the "latest" checkpoint, or the "best" one.
        averaged: of a run: the moving averages of the weights.
        size: of a file: pixels of a side; the file's own config by default, else 224.

    Raises:
        FileNotFoundError: if there is no such run or file.
        ValueError: if the source is unreadable or another system's, or an option is
            for the other kind of source.
    """
    path = find(source)
    if not path.exists():
        raise FileNotFoundError(f"{path}: neither a workdir nor a file of weights.")
    if not path.is_dir() and (choose != "latest" or averaged):
        raise ValueError(f"Checkpoints are chosen in runs; {path} is not a folder.")
    if path.is_dir() or holds_run(path):
        if size is not None:
            raise ValueError(f"size is for files of weights; {path} is a run.")
        run = restore(system, path, choose, averaged=averaged)
        return classifier_model(run, {"system": system.name, "averaged": averaged})
    weights = convert.load(system.name, path)
    config = json.loads(read(path)[1].get("config", "{}"))
    side = config.get("image_size", 224) if size is None else size
    metadata = {
        "system": system.name,
        "source": path.name,
        "takes": "images normalised as in training; a file of weights knows not how",
        "gives": "logits",
    }
    inputs = _images(side, config.get("in_channels", 3))
    return network_model(*weights, inputs, metadata)


def _images(side, channels):
    shape = 1, side, side, channels
    return {"images": jax.ShapeDtypeStruct(shape, jnp.float32)}
