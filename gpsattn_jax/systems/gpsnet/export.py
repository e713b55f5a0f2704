"""A trained GPS-Net as something to export: joints in, probabilities out."""

import os

import jax
import jax.numpy as jnp

from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.export.models import Model, network_model
from gpsattn_jax.systems.gpsnet.clips import prepare
from gpsattn_jax.systems.gpsnet.run import Recognizer


def open_model(
    workdir: str | os.PathLike, choose: str = "latest", *, persons: int = 1
) -> Model:
    """A run as something to export; see `recognizer_model`.

    Args:
        workdir: of a trained run.
        choose: "latest" checkpoint, or the "best".
        persons: of a clip; absent ones are masked.

    Raises:
        FileNotFoundError: if there is no such run.
        ValueError: if `workdir` is a file of weights, which knows no classes.
    """
    if os.path.isfile(workdir):
        raise ValueError(
            f"{workdir}: GPS-Net is exported from a run's workdir; a file of weights "
            "tells neither classes nor frames."
        )
    return recognizer_model(gpsnet.restore(workdir, choose), persons=persons)


def recognizer_model(recognizer: Recognizer, *, persons: int = 1) -> Model:
    """Clips of T frames -> probabilities [b, classes]; each row sums to one.

    The run's centring, its scaling and the softmax are inside; resizing a clip to T
    frames is not.

    Args:
        recognizer: a trained network.
        persons: M of a clip.

    Raises:
        ValueError: if there is no person.
    """
    if persons < 1:
        raise ValueError(f"persons must be at least 1; got {persons}.")
    config, layout = recognizer.config, recognizer.layout
    clip = 1, persons, config.data.num_frames, layout.num_joints
    inputs = {
        "joints": jax.ShapeDtypeStruct((*clip, config.model.in_channels), jnp.float32),
        "mask": jax.ShapeDtypeStruct(clip, jnp.bool_),
        "time": jax.ShapeDtypeStruct((1, config.data.num_frames), jnp.float32),
    }
    weights = recognizer.params, recognizer.state
    inner = network_model(recognizer.network, *weights, inputs, {})

    def forward(**clips):
        return jax.nn.softmax(inner.forward(**prepare(config, clips)))

    told = {
        "system": gpsnet.SYSTEM,
        "takes": (
            "joints [persons, frames, joints, coordinates], 0 where missing; mask, "
            "false where missing; time of each frame, 2 t / length - 1, t its place "
            "in the clip of that length before it was resized"
        ),
        "gives": "probabilities of class_names",
        "class_names": recognizer.class_names,
        "layout": layout.name,
        "joint_names": layout.joints,
        "step": recognizer.step,
    }
    return Model(forward, inputs, told)
