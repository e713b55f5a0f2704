"""Training a network that gives a class for each pixel."""

import dataclasses
import functools
import os
import sys
from collections.abc import Sequence

import jax
import numpy as np

from gpsattn_jax.configs import default_values, upgraded
from gpsattn_jax.convert.graft import Fit, fit_relative_table
from gpsattn_jax.data.batches import Batch, Batches
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.prefetch import Prefetched
from gpsattn_jax.data.segmentation import Masked, augment_batch, sets
from gpsattn_jax.models import semantic_fpn
from gpsattn_jax.systems import gsanet, runs, transxnet
from gpsattn_jax.systems.image_classifier.run import check_normalization, normalize
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.segmentation.pixels import count_pixels, scores
from gpsattn_jax.systems.segmentation.setups import Config
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import fit
from gpsattn_jax.training.losses import pixel_cross_entropy
from gpsattn_jax.training.sharding import place

NAME = "segmentation"
_BACKBONES = {"gsanet": gsanet, "transxnet": transxnet}


def title(config: Config) -> str:
    """What people call a run's network."""
    if config.model.backbone == "transxnet":
        return "TransXNet with Semantic FPN"
    kind = "ResNet" if set(config.model.gsanet.mixers) == {"conv"} else "GSA-ResNet"
    return f"{kind} with Semantic FPN"


def train(
    config: Config,
    workdir: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains, or goes on training, in `workdir`; scores the validation pictures too.

    Args:
        config: of the run.
        workdir: checkpoints and logs.
        data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.
        machine: devices, processes, profiling.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after saving; the same call goes on from there.
        ValueError: if the config does not fit itself, the data or the checkpoint.
    """
    placement = place(machine)
    size = config.train.batch_size
    rows = placement.rows(size, config.train.accumulate)
    parts = load_sets(config, data_dir)
    _check(config, parts["train"])
    if jax.process_index() == 0:
        counts = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
        print(f"data.name={config.data.name}: pictures: {counts}", file=sys.stderr)
    network = semantic_fpn.build(config.model)
    batches = Batches(
        parts["train"], batch_size=size, seed=config.train.seed, rows=rows
    )

    def evaluate(params, state):
        run = TrainedRun(config, 0, network, params, state, placement)
        return scores(count_pixels(run, parts["validation"]))

    with Prefetched(
        batches, workers=config.data.workers, stop=config.train.num_steps
    ) as ready:
        fit(
            network,
            pixel_cross_entropy(config.train.label_smoothing),
            ready,
            evaluate,
            config.train,
            workdir,
            augment=functools.partial(augment, config),
            settings=dataclasses.asdict(config)
            | {"class_names": parts["train"].class_names, "system": NAME},
            upgrade=functools.partial(upgraded, Config),
            defaults=default_values(Config),
            initial=_initial(config, network, machine),
            layers=layers(config.model),
            machine=machine,
        )


def restore(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool = False,
    machine: Machine | None = None,
) -> TrainedRun:
    """The run that was trained in a workdir; see `runs.restore`."""
    return runs.restore(
        NAME, Config, semantic_fpn.build, workdir, choose,
        averaged=averaged, facts={"class_names": tuple}, machine=machine,
    )  # fmt: skip


def load_sets(
    config: Config, data_dir: str | os.PathLike | None = None
) -> dict[str, Masked]:
    """The pictures of a run: {"train", "validation", "test"}; kept for the next."""
    return _loaded(
        config.data,
        data_folder(data_dir),
        num_classes=config.model.num_classes,
        size=config.model.image_size,
        channels=config.model.in_channels,
        scale=config.augment.scale,
    )


_loaded = functools.lru_cache(maxsize=1)(sets.load)


def augment(config: Config, batch: Batch, key: jax.Array) -> Batch:
    """What training does to a batch, and the normalisation; pure."""
    batch = augment_batch(config.augment, batch, key)
    images = normalize(config.data, batch["inputs"]["images"])
    return {**batch, "inputs": {**batch["inputs"], "images": images}}


def layers(model: semantic_fpn.Config) -> Sequence[str]:
    """Patterns of a network's layers, from the input up: the backbone's, then one."""
    *below, _ = _BACKBONES[model.backbone].SYSTEM.layers  # the last one is its head
    top = "backbone/feature_norms/|neck/|scales/|head/"
    return *(f"backbone/(?:{pattern})" for pattern in below), top


def _initial(config, network, machine):
    """What gives the weights that training starts from; None for fresh ones."""
    model = config.model
    return runs.initial_weights(
        NAME, restore, network, config, _fit(model), machine=machine,
        headless=True, num_classes=model.num_classes, channels=model.channels,
        head_channels=model.head_channels,
    )  # fmt: skip


def _fit(model: semantic_fpn.Config) -> Fit:
    """How tables of positions become those for another size of image."""
    if model.backbone == "transxnet":
        return transxnet.SYSTEM.fit(model.transxnet)
    return fit_relative_table


def _check(config, pictures):
    """Raises ValueError naming the field that does not fit the data."""
    runs.check_best_metric(config.train, ["mean_iou", "accuracy"])
    example = pictures.batch(np.zeros(1, int), None)["inputs"]["images"]
    check_normalization(config.data, example.shape[-1])
    backbone = f"model.{config.model.backbone}"
    for name, value, wanted in (
        ("model.num_classes", config.model.num_classes, len(pictures.class_names)),
        (f"{backbone}.in_channels", config.model.in_channels, example.shape[-1]),
        (f"{backbone}.image_size", config.model.image_size, example.shape[1]),
    ):
        if value != wanted:
            raise ValueError(
                f"{name} must be {wanted} for data.name={config.data.name}; "
                f"got {value}."
            )
