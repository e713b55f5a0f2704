"""A trained GPS-Net as something to export: joints in, probabilities out."""

import os
from typing import Any

import jax
import jax.numpy as jnp

from gpsattn_jax.systems.export.check import finish
from gpsattn_jax.systems.export.models import Model, network_model
from gpsattn_jax.systems.gpsnet.clips import network_inputs
from gpsattn_jax.systems.gpsnet.run import NAME, restore
from gpsattn_jax.systems.named_networks import find
from gpsattn_jax.systems.run_files import TrainedRun, holds_run

MIN_MAX = ", each axis moved and scaled so that the whole clip fills [-1, 1]"


def export(
    source: str | os.PathLike,
    output: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool | None = None,
    persons: int = 1,
    **options: Any,
) -> None:
    """Writes a run as an artefact, see `run_model`, and checks it in a fresh process.

    Args:
        source: workdir of a trained run, or what stands for one.
        output: the artefact.
        choose: "latest" checkpoint, or the "best".
        averaged: see `gpsnet.restore`.
        persons: of a clip; absent ones are masked.
        **options: of `export.check.finish`.

    Raises:
        FileNotFoundError: if there is no such run.
        ValueError: if `source` is a file of weights, which knows no classes.
    """
    path = find(source)
    if path.is_file() and not holds_run(path):
        raise ValueError(
            f"{source}: GPS-Net is exported from a run's workdir; a file of weights "
            "knows neither classes nor frames."
        )
    run = restore(source, choose, averaged=averaged)
    finish(run_model(run, persons=persons), output, **options)


def run_model(run: TrainedRun, *, persons: int = 1) -> Model:
    """Clips of T frames -> probabilities [b, classes]; each row sums to one.

    The run's centring, its scaling and the softmax are inside; resizing a clip to T
    frames is not, nor is `data.min_max`, which looks at all frames of a clip.

    Args:
        run: a trained network.
        persons: M of a clip.

    Raises:
        ValueError: if there is no person.
    """
    if persons < 1:
        raise ValueError(f"persons must be at least 1; got {persons}.")
    config, layout = run.config, run.facts["layout"]
    clip = 1, persons, config.data.num_frames, layout.num_joints
    inputs = {
        "joints": jax.ShapeDtypeStruct((*clip, config.model.in_channels), jnp.float32),
        "mask": jax.ShapeDtypeStruct(clip, jnp.bool_),
        "time": jax.ShapeDtypeStruct((1, config.data.num_frames), jnp.float32),
    }
    inner = network_model(run.network, run.params, run.state, inputs, {})

    def forward(**clips):
        return jax.nn.softmax(inner.forward(**network_inputs(config, clips)))

    metadata = {
        "system": NAME,
        "takes": (
            "joints [persons, frames, joints, coordinates], 0 where missing"
            f"{MIN_MAX * config.data.min_max}; mask, false where missing; time of each "
            "frame, 2 t / length - 1, t its place in the clip of that length before it "
            "was resized"
        ),
        "gives": "probabilities of class_names",
        "class_names": run.class_names,
        "layout": layout.name,
        "joint_names": layout.joints,
        "step": run.step,
    }
    return Model(forward, inputs, metadata)
