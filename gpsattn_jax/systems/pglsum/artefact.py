"""A trained PGL-SUM as something to export: features in, scores out."""

import os
from typing import Any

import jax
import jax.numpy as jnp

from gpsattn_jax.systems.export.check import finish
from gpsattn_jax.systems.export.models import Model, network_model
from gpsattn_jax.systems.named_networks import find
from gpsattn_jax.systems.pglsum.run import NAME, restore
from gpsattn_jax.systems.pglsum.videos import file_width
from gpsattn_jax.systems.run_files import TrainedRun, holds_run

STEPS = 320  # of the longest video, unless another number is asked for


def export(
    source: str | os.PathLike,
    output: str | os.PathLike,
    choose: str = "best",
    *,
    averaged: bool = False,
    steps: int = STEPS,
    **options: Any,
) -> None:
    """Writes a run as an artefact, see `run_model`, and checks it in a fresh process.

    Args:
        source: workdir of a trained run, or what stands for one.
        output: the artefact.
        choose: "latest" checkpoint, or the "best".
        averaged: take the moving averages of the weights.
        steps: of the longest video that the artefact takes.
        **options: of `export.check.finish`.

    Raises:
        FileNotFoundError: if there is no such run.
        ValueError: if `source` is a file of weights, which knows no features.
    """
    path = find(source)
    if path.is_file() and not holds_run(path):
        raise ValueError(
            f"{source}: PGL-SUM is exported from a run's workdir; a file of weights "
            "does not know how features were prepared."
        )
    run = restore(source, choose, averaged=averaged)
    finish(run_model(run, steps=steps), output, **options)


def run_model(run: TrainedRun, *, steps: int = STEPS) -> Model:
    """Videos of at most so many steps -> scores [b, steps], zero from their end on.

    Features go in as they are in files: what the run does to them is inside.

    Args:
        run: a trained network.
        steps: T of the padded videos.

    Raises:
        ValueError: if there is no step.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}.")
    data = run.config.data
    shapes = {
        "features": jax.ShapeDtypeStruct(
            (1, steps, file_width(run.config)), jnp.float32
        ),
        "length": jax.ShapeDtypeStruct((1,), jnp.int32),
    }
    if data.relative_time:
        shapes["time"] = jax.ShapeDtypeStruct((1, steps), jnp.float32)
    inner = network_model(run.network, run.params, run.state, shapes, {})

    def forward(features, length, time=None):
        if data.transform == "l2":
            norms = jnp.linalg.norm(features, axis=-1, keepdims=True)
            features = features / jnp.maximum(norms, 1e-12)
        if time is not None:
            angle = jnp.pi * time[..., None]
            parts = features, jnp.cos(angle), jnp.cos(2 * angle)
            features = jnp.concatenate(parts, axis=-1)
        return inner.forward(features=features, length=length)

    time = "; time, the middle of each step as a share of the video"
    metadata = {
        "system": NAME,
        "takes": (
            f"features [steps, channels] of {data.extractor}, as in files; length, how "
            f"many of the steps the video has{time * data.relative_time}"
        ),
        "gives": "scores of the steps in 0..1, zero behind the video's end",
        "extractor": data.extractor,
        "feature_norms": run.facts["feature_norms"],
        "step": run.step,
    }
    return Model(forward, shapes, metadata, highest={"length": steps})
