"""GPS-Net's run without its clips, to be planned."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from gpsattn_jax.data.skeletons.layouts import load_layout
from gpsattn_jax.data.skeletons.sets import SETS
from gpsattn_jax.models import gpsnet
from gpsattn_jax.systems.gpsnet.clips import augment
from gpsattn_jax.systems.gpsnet.run import LAYERS, TOGETHER, make_forward
from gpsattn_jax.systems.gpsnet.setups import Config
from gpsattn_jax.systems.planning.programs import Programs
from gpsattn_jax.training.losses import cross_entropy

NTU = "ntu25"  # the layout of the network's own defaults


def programs(
    config: Config, *, classes: int | None = None, persons: int = 1
) -> Programs:
    """What a run compiles for clips of a skeleton.

    Args:
        config: of the run; `data.layout`, or else the set's own, is the skeleton.
        classes: of actions; a known set's own, else 60, by default.
        persons: of a clip.

    Raises:
        ValueError: if there is no such layout.
    """
    known = SETS.get(config.data.name)
    layout = load_layout(config.data.layout or (known.layout if known else NTU))
    classes = classes or (len(known.class_names) if known else 60)
    model = dataclasses.replace(
        config.model,
        num_classes=classes,
        num_joints=layout.num_joints,
        edges=layout.edges,
        root=layout.root,
        anchors=layout.anchors,
    )
    config = dataclasses.replace(config, model=model)
    gpsnet.skeleton_parts(model)  # refuses what does not fit the skeleton
    network, frames = gpsnet.build(model), config.data.num_frames

    def batch(size):
        clip = size, persons, frames, layout.num_joints
        joints = jax.ShapeDtypeStruct((*clip, model.in_channels), jnp.float32)
        inputs = {
            "joints": joints,
            "mask": jax.ShapeDtypeStruct(clip, jnp.bool_),
            "time": jax.ShapeDtypeStruct((size, frames), jnp.float32),
        }
        label = jax.ShapeDtypeStruct((size,), jnp.int32)
        return {"inputs": inputs, "targets": {"label": label}}

    return Programs(
        config=config,
        network=network,
        loss=cross_entropy(config.train.label_smoothing),
        layers=LAYERS,
        batch=batch,
        augment=functools.partial(augment, config, layout.mirror),
        forward=make_forward(network, config),
        together=TOGETHER,
        assumed=(
            f"clips of {persons} person(s) (--persons), {frames} frames "
            f"(--data.num_frames), {layout.num_joints} joints of {layout.name} "
            f"(--data.layout) with {model.in_channels} coordinates, {classes} classes "
            "(--classes)"
        ),
    )
