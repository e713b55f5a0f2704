"""Clips and GPS-Net: a network that fits them, and what it takes of them."""

import dataclasses
from typing import Any

import jax

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.skeletons import augment as augmentations
from gpsattn_jax.data.skeletons.clip_set import ClipSet
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.recipe import augment_clips
from gpsattn_jax.systems.gpsnet.setups import Config


def config_for(config: Config, clips: Clips) -> Config:
    """The config whose network fits the clips: skeleton, coordinates, classes."""
    layout = clips.layout
    model = dataclasses.replace(
        config.model,
        num_classes=len(clips.class_names),
        num_joints=layout.num_joints,
        in_channels=clips.joints.shape[-1],
        edges=layout.edges,
        root=layout.root,
        anchors=layout.anchors,
    )
    # What "auto" found holds for the clips that are recognised later.
    data = dataclasses.replace(
        config.data, axes=clips.reading.axes, channels=clips.reading.channels
    )
    return dataclasses.replace(config, model=model, data=data)


def clip_source(config: Config, clips: Clips, *, training: bool = False) -> ClipSet:
    """Clips as batches of the frames that the network sees.

    Args:
        config: of the run.
        clips: of any length.
        training: with seeds they are cropped and, for `data.min_max`, turned.
    """
    data, recipe = config.data, config.augment
    return ClipSet(
        clips,
        data.num_frames,
        recipe.crop if training else (1.0, 1.0),
        frames=data.frames,
        min_max=data.min_max,
        degrees=recipe.degrees if training else (0.0, 0.0, 0.0),
    )


def network_inputs(config: Config, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the network takes: clips whose root begins at the origin.

    Clips of `data.min_max` are as they shall be already.
    """
    if config.data.min_max:
        return inputs
    joints, mask = inputs["joints"], inputs["mask"]
    joints = augmentations.center(joints, mask, config.model.root)
    if config.data.unit_size:
        joints = augmentations.scale_to_unit(joints, mask)
    return inputs | {"joints": joints}


def augment(
    config: Config, mirror: tuple[tuple[int, int], ...], batch: Batch, key: jax.Array
) -> Batch:
    """A training batch as the network takes it, changed at random; pure."""
    inputs = network_inputs(config, batch["inputs"])
    recipe = config.augment
    if config.data.min_max:  # `ClipSet` turns them, and no scale is left
        recipe = dataclasses.replace(recipe, degrees=(0.0,) * 3, scale=(1.0, 1.0))
    joints, mask = augment_clips(recipe, mirror, inputs["joints"], inputs["mask"], key)
    return {**batch, "inputs": inputs | {"joints": joints, "mask": mask}}
