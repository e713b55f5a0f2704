"""A segmenter as something to export: windows in, probabilities of classes out."""

import os
from typing import Any

import jax
import jax.numpy as jnp

from gpsattn_jax.systems.export.check import finish
from gpsattn_jax.systems.export.models import Model, network_model
from gpsattn_jax.systems.image_classifier.run import normalize
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.segmentation.run import NAME, restore


def export(
    source: str | os.PathLike,
    output: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool = False,
    **options: Any,
) -> None:
    """Writes a run as an artefact, and checks it.

    Args:
        source: a workdir, or a file of a run.
        output: the artefact.
        choose: the "latest" checkpoint, or the "best" one.
        averaged: the moving averages of the weights.
        **options: of `export.check.finish`.
    """
    finish(open_model(restore(source, choose, averaged=averaged)), output, **options)


def open_model(run: TrainedRun) -> Model:
    """A trained run: images [b, S, S, C], float32 in 0..1 -> [b, S, S, classes].

    The run's normalisation and the softmax are inside; pictures of other sizes are cut
    into windows by whoever asks.
    """
    config = run.config
    side, channels = config.model.image_size, config.model.in_channels
    shape = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
    inner = network_model(
        run.network, run.params, run.state, {"images": shape}, {"system": NAME}
    )

    def forward(images):
        return jax.nn.softmax(inner.forward(images=normalize(config.data, images)))

    facts = {
        "takes": "windows with values in 0..1; (images - mean) / std happens inside",
        "gives": "probabilities of class_names for each pixel",
        "class_names": run.class_names,
        "mean": config.data.mean,
        "std": config.data.std,
        "step": run.step,
    }
    return Model(forward, inner.inputs, {**inner.metadata, **facts})
