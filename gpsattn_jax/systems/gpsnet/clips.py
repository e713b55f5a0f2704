"""The clips of a GPS-Net run: read, parted, and what training does to them."""

import dataclasses
import functools
import os
import pathlib
from typing import Any

import jax

from gpsattn_jax.data.batches import Batch
from gpsattn_jax.data.skeletons import augment as augmentations
from gpsattn_jax.data.skeletons import sets as skeleton_sets
from gpsattn_jax.data.skeletons.clip_folder import read_folder
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.data.skeletons.layouts import Layout, load_layout
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.systems.gpsnet.setups import AugmentConfig, Config, DataConfig

Parts = dict[str, Clips]


def load_parts(config: DataConfig, data_dir: str | os.PathLike | None = None) -> Parts:
    """The clips of a run: {"train", "test"}, and "validation" if a part is held out.

    Kept for the next call.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: names the file or field that does not fit.
    """
    clips, splits = _load(config, _folder(data_dir))
    if config.split >= len(splits):
        raise ValueError(
            f"data.split must be below {len(splits)} for data.name={config.name}; "
            f"got {config.split}."
        )
    train, test = splits[config.split]
    parts = {"test": clips.select(test)}
    if config.validation_fold >= 0:
        train, held = skeleton_sets.validation(clips, train, config.validation_fold)
        parts["validation"] = clips.select(held)
    return parts | {"train": clips.select(train)}


def num_splits(config: DataConfig, data_dir: str | os.PathLike | None = None) -> int:
    """How many splits the data have."""
    return len(_load(config, _folder(data_dir))[1])


def fitted(config: Config, clips: Clips) -> Config:
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
    return dataclasses.replace(config, model=model)


def prepare(config: Config, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the network takes: clips whose root begins at the origin."""
    joints, mask = inputs["joints"], inputs["mask"]
    joints = augmentations.center(joints, mask, config.model.root)
    if config.data.unit_size:
        joints = augmentations.scale_to_unit(joints, mask)
    return inputs | {"joints": joints}


def augment(
    config: Config, mirror: tuple[tuple[int, int], ...], batch: Batch, key: jax.Array
) -> Batch:
    """A training batch, prepared and changed at random; pure."""
    inputs = prepare(config, batch["inputs"])
    joints, mask = augment_clips(
        config.augment, mirror, inputs["joints"], inputs["mask"], key
    )
    return {**batch, "inputs": inputs | {"joints": joints, "mask": mask}}


def augment_clips(
    recipe: AugmentConfig,
    mirror: tuple[tuple[int, int], ...],
    joints: jax.Array,
    mask: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Joints [B, M, T, V, C] and mask [B, M, T, V], changed at random."""
    keys = jax.random.split(key, 6)
    if recipe.mirror and mirror:
        joints, mask = augmentations.mirror(
            joints, mask, keys[0], mirror, recipe.mirror
        )
    if any(recipe.degrees):
        joints = augmentations.rotate(joints, keys[1], recipe.degrees)
    if recipe.scale != (1.0, 1.0):
        joints = augmentations.scale(joints, keys[2], *recipe.scale)
    if recipe.noise:
        joints = augmentations.jitter(joints, mask, keys[3], recipe.noise)
    if recipe.drop_joints:
        mask = augmentations.drop_joints(mask, keys[4], recipe.drop_joints)
    if recipe.drop_frames:
        mask = augmentations.drop_frames(mask, keys[5], recipe.drop_frames)
    return augmentations.hide(joints, mask), mask


def _folder(data_dir):
    folder = os.environ.get("GPSATTN_DATA_DIR", "") if data_dir is None else data_dir
    return os.fspath(folder)


def _load(config, folder):
    source = {"name", "path", "layout", "train_split", "test_split", "missing"}
    return _read(folder, **{name: getattr(config, name) for name in source})


@functools.lru_cache(maxsize=2)
def _read(folder, name, path, layout, train_split, test_split, missing):
    """(clips, [(places to train on, places to test on)])."""
    where = pathlib.Path(folder) / path
    if name in skeleton_sets.SETS:
        clips, splits = skeleton_sets.load(name, folder)
    elif name == "ntu":
        clips, splits = ntu_npz(where)
    else:
        found = _layout(layout, name)
        if name == "pickle":
            clips, named = read_annotations(where, found)
        else:
            clips, named = read_folder(where, found)
        splits = [_named_split(where, named, train_split, test_split)]
    if layout and name not in ("pickle", "folder"):
        try:
            clips = dataclasses.replace(clips, layout=load_layout(layout))
        except ValueError as error:
            raise ValueError(
                f"data.layout must fit data.name={name}, whose joints are those of "
                f"{clips.layout.name}: {error}"
            ) from None
    return (interpolated(clips) if missing == "interpolate" else clips), splits


def _layout(layout: str, name: str) -> Layout:
    if not layout:
        raise ValueError(
            f"data.layout must name the joints' layout for data.name={name}, or a file "
            "of its edges; got ''."
        )
    return load_layout(layout)


def _named_split(path, named, *wanted):
    for name in wanted:
        if name not in named:
            raise ValueError(
                f"{path}: data.train_split and data.test_split must be of its splits "
                f"({', '.join(named) or 'it has none'}); got {name!r}."
            )
    return tuple(named[name] for name in wanted)
