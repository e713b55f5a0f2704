"""Training and asking a network that gives a class for each pixel."""

import collections
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from gpsattn_jax.configs import default_values, upgraded
from gpsattn_jax.convert.graft import Fit, fit_relative_table
from gpsattn_jax.data.batches import Batch, Batches
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.prefetch import Prefetched
from gpsattn_jax.data.segmentation import Masked, augment_batch, sets
from gpsattn_jax.evaluation import segmentation
from gpsattn_jax.models import semantic_fpn
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.progress import with_progress
from gpsattn_jax.systems import gsanet, runs, transxnet
from gpsattn_jax.systems.image_classifier.run import normalize
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.segmentation.setups import Config
from gpsattn_jax.systems.segmentation.windows import (
    batch_size,
    default_stride,
    sliding_logits,
)
from gpsattn_jax.training.compiled import compiled_once
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import fit
from gpsattn_jax.training.losses import pixel_cross_entropy
from gpsattn_jax.training.processes import in_turn
from gpsattn_jax.training.sharding import Placement, on_every_process, place

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
    forward = _forward(network, config.data)

    def evaluate(params, state):
        ask = functools.partial(_ask, forward, params, state, placement)
        return scores(_counts(ask, config, parts["validation"], placement))

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


def segment(
    run: TrainedRun,
    pictures: Iterable[np.ndarray],
    *,
    window: int | None = None,
    stride: int | None = None,
) -> Iterator[np.ndarray]:
    """Logits of each pixel of pictures of any size, by a window that slides over them.

    Args:
        run: a trained network.
        pictures: [H, W, C] uint8 each.
        window: pixels of a side; those that the network is made for if None.
        stride: from window to window; two thirds of one if None.

    Returns:
        [H, W, classes] float32 for each picture, in order.
    """
    forward = _forward(run.network, run.config.data)
    ask = functools.partial(_ask, forward, run.params, run.state, run.placement)
    return _slide(ask, run.config, pictures, run.placement, window, stride)


def count_pixels(
    run: TrainedRun, masked: Masked, *, window: int | None, stride: int | None
) -> np.ndarray:
    """Counts of a set's pixels by (label, predicted class), with progress.

    Args:
        run: a trained network.
        masked: the set.
        window: see `segment`.
        stride: likewise.
    """
    forward = _forward(run.network, run.config.data)
    ask = functools.partial(_ask, forward, run.params, run.state, run.placement)
    return _counts(
        ask, run.config, masked, run.placement, window, stride, "Segmenting pictures"
    )


def scores(counts: np.ndarray) -> dict[str, float]:
    """Mean IoU and pixel accuracy of counts [classes, classes]."""
    return {
        "mean_iou": segmentation.mean_iou(counts),
        "accuracy": segmentation.pixel_accuracy(counts),
    }


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


def make_forward(network: Functional, data: Any) -> Callable[..., jax.Array]:
    """(params, state, {"images"}) -> logits of each pixel."""

    def forward(params, state, inputs):
        images = normalize(data, inputs["images"])
        logits, _ = network.apply(params, state, images=images)
        return logits

    return forward


@functools.cache
def _forward(network, data):
    return compiled_once(make_forward(network, data))


def _ask(forward, params, state, placement, images):
    """[size, S, S, C] uint8 -> logits [size, S, S, classes], whole on each process."""
    inputs = placement.put({"images": images[placement.rows(len(images))]})
    found = in_turn(placement.on_mesh(forward)(params, state, inputs))
    return on_every_process(found)


def _slide(ask, config, pictures, placement, window=None, stride=None):
    window = config.model.image_size if window is None else window
    return sliding_logits(
        ask,
        pictures,
        window=window,
        stride=default_stride(window) if stride is None else stride,
        size=batch_size(window, placement.mesh.shape["data"]),
    )


def _counts(
    ask: Callable[[np.ndarray], np.ndarray],
    config: Config,
    masked: Masked,
    placement: Placement,
    window: int | None = None,
    stride: int | None = None,
    title: str = "",
) -> np.ndarray:
    """Pixels by (label, prediction), added up over a set."""
    classes = config.model.num_classes
    masks: collections.deque[np.ndarray] = collections.deque()  # of pictures at work

    def pictures():
        for number in range(len(masked)):
            picture, mask = masked.whole(number)
            masks.append(mask)
            yield picture

    found = _slide(ask, config, pictures(), placement, window, stride)
    if title:  # in training the steps' own display stands there
        found = with_progress(found, len(masked), title)
    total = np.zeros((classes, classes), np.int64)
    for logits in found:
        predicted = logits.argmax(-1)
        total += segmentation.pixel_counts(predicted, masks.popleft(), classes)
    return total


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
    metrics = ["mean_iou", "accuracy"]
    metrics += [f"ema/{name}" for name in metrics if config.train.ema_decay]
    if config.train.best_metric not in metrics:
        raise ValueError(
            f"train.best_metric must be one of {', '.join(metrics)}; "
            f"got {config.train.best_metric!r}."
        )
    example = pictures.batch(np.zeros(1, int), None)["inputs"]["images"]
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
    for name, values in (("mean", config.data.mean), ("std", config.data.std)):
        if len(values) not in (1, example.shape[-1]) or min(values) <= 0:
            raise ValueError(
                f"data.{name} must be one number above 0, or one for each of "
                f"{example.shape[-1]} channels; got {values}."
            )
