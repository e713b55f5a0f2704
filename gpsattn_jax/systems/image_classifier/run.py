"""Training and asking an image classifier: the journey that all of them share."""

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from gpsattn_jax.configs import default_values, upgraded
from gpsattn_jax.data.batches import Batch, Batches, in_order
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.images import sets as image_sets
from gpsattn_jax.data.images.augment.recipe import (
    AugmentConfig,
    augment_batch,
    left_for_device,
)
from gpsattn_jax.data.images.labelled_sets import LabelledSets, class_list
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.data.images.sources import Images, ImageSet
from gpsattn_jax.data.prefetch import Prefetched
from gpsattn_jax.evaluation import classification
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.progress import with_progress
from gpsattn_jax.systems import runs
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training.compiled import compiled_once
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import fit
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.predict import predict
from gpsattn_jax.training.sharding import Placement, place

TOGETHER = 256  # images that are asked for in one batch


def train(
    system: ImageClassifier,
    config: Any,
    workdir: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains, or goes on training, in `workdir`; scores the validation images too.

    Args:
        system: which.
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
    sets = load_sets(config, data_dir)
    if jax.process_index() == 0:
        print(f"data.name={config.data.name}: {sets.summary()}", file=sys.stderr)
    class_names = sets["train"].class_names
    _check(config, sets["train"])
    network = system.build(config.model)
    batches = Batches(sets["train"], batch_size=size, seed=config.train.seed, rows=rows)
    forward = _forward(network, config.data)
    recipe = left_for_device(config.augment, sets["train"])

    def evaluate(params, state):
        held_out = sets["validation"]
        found = _probabilities(forward, params, state, held_out, placement)
        return scores(found, held_out.labels)

    with Prefetched(
        batches, workers=config.data.workers, stop=config.train.num_steps
    ) as ready:
        fit(
            network,
            cross_entropy(config.train.label_smoothing),
            ready,
            evaluate,
            config.train,
            workdir,
            augment=functools.partial(augment, config, recipe, len(class_names)),
            settings=dataclasses.asdict(config)
            | {"class_names": class_names, "system": system.name},
            upgrade=functools.partial(upgraded, system.config_class),
            defaults=default_values(system.config_class),
            initial=runs.initial_weights(
                system.name,
                functools.partial(restore, system),
                network,
                config,
                system.fit(config.model),
                machine=machine,
                headless=True,
            ),
            layers=system.layers,
            machine=machine,
        )


def restore(
    system: ImageClassifier,
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool = False,
    machine: Machine | None = None,
) -> TrainedRun:
    """The run that a system trained in a workdir; see `runs.restore`."""
    return runs.restore(
        system.name, system.config_class, system.build, workdir, choose,
        averaged=averaged, facts={"class_names": tuple}, machine=machine,
    )  # fmt: skip


def probabilities(run: TrainedRun, images: Images | np.ndarray) -> np.ndarray:
    """A set of images, or [n, H, W, C] in 0..1 (or uint8) -> [n, classes]."""
    if isinstance(images, np.ndarray):
        nothing = np.zeros(len(images), np.int32)
        images = ImageSet(images, nothing, run.class_names)
    forward = _forward(run.network, run.config.data)
    weights = run.params, run.state
    title = f"Classifying {len(images):,} pictures, batches"
    return _probabilities(forward, *weights, images, run.placement, title)


def score_test_images(
    run: TrainedRun,
    data_dir: str | os.PathLike | None = None,
    folder: str | os.PathLike | None = None,
) -> dict[str, float]:
    """Scores on the test images.

    Args:
        run: a trained network.
        data_dir: the folder of data sets.
        folder: of class folders to score instead; see `test_images`.

    Returns:
        {"images": how many, "accuracy", "loss"}, and of many classes "top5".
    """
    if folder is None:
        check_held_out(run, load_sets(run.config, data_dir))
    test = test_images(run.config, run.class_names, data_dir, folder)
    return {"images": len(test)} | scores(probabilities(run, test), test.labels)


def scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and cross-entropy of probabilities [n, classes]."""
    found = {
        "accuracy": classification.accuracy(probabilities, labels),
        "loss": classification.cross_entropy(probabilities, labels),
    }
    if probabilities.shape[1] > 10:
        found["top5"] = classification.top_accuracy(probabilities, labels, 5)
    return found


def test_images(
    config: Any,
    class_names: Sequence[str],
    data_dir: str | os.PathLike | None = None,
    folder: str | os.PathLike | None = None,
) -> Images:
    """What a run is scored on, once it is sure that labels mean what they did.

    Args:
        config: of the run.
        class_names: of the run.
        data_dir: the folder of data sets.
        folder: any folder of class folders, of classes that the run knows, instead of
            the run's own test images.

    Raises:
        ValueError: names the classes that changed since the training.
    """
    if folder is not None:
        found = image_sets.load_labelled(
            config.data,
            folder,
            class_names,
            size=config.model.image_size,
            channels=config.model.in_channels,
        )
        print(found.summary("test"), file=sys.stderr)
        return found["test"]
    images = load_sets(config, data_dir)["test"]
    where = f"data.name={config.data.name}"
    if config.data.folder:
        where += f", data.folder={config.data.folder}"
    image_sets.check_same_classes(class_names, images.class_names, where)
    return images


def check_held_out(run: TrainedRun, sets: LabelledSets) -> None:
    """Raises ValueError if test images may have been trained on.

    Where they are held out of the training part, one picture more or less there makes
    them others.

    Args:
        run: a trained network.
        sets: its data as they are now.
    """
    if "test" in sets.held_out:
        run.check_same_examples(len(sets["train"]), run.config.data.folder)


def load_sets(config: Any, data_dir: str | os.PathLike | None = None) -> LabelledSets:
    """The images of a run: {"train", "validation", "test"}; kept for the next call."""
    return _loaded(
        config.data,
        data_folder(data_dir),
        size=config.model.image_size,
        channels=config.model.in_channels,
        crop_scale=config.augment.crop_scale,
        crop_ratio=config.augment.crop_ratio,
    )


_loaded = functools.lru_cache(maxsize=1)(image_sets.load)


class Normalization(Protocol):
    """What `normalize` reads of a config of data."""

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def std(self) -> tuple[float, ...]: ...


def normalize(config: Normalization, images: jax.Array) -> jax.Array:
    """[…, C] in 0..1, or uint8 -> what the network takes."""
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / 255
    mean, std = (
        np.asarray(values, np.float32).reshape((1,) * (images.ndim - 1) + (-1,))
        for values in (config.mean, config.std)
    )
    return (images - mean) / std


def check_normalization(config: Normalization, channels: int) -> None:
    """Raises ValueError naming mean or std, if it does not fit images' channels."""
    for name, values in (("mean", config.mean), ("std", config.std)):
        if len(values) not in (1, channels) or (name == "std" and min(values) <= 0):
            raise ValueError(
                f"data.{name} must be one number, or one for each of {channels} "
                f"channels{', above 0' * (name == 'std')}; got {values}."
            )


def augment(
    config: Any, recipe: AugmentConfig, num_classes: int, batch: Batch, key: jax.Array
) -> Batch:
    """What training does to a batch, and the normalisation; pure."""
    batch = augment_batch(recipe, batch, key, num_classes)
    images = normalize(config.data, batch["inputs"]["images"])
    return {**batch, "inputs": {**batch["inputs"], "images": images}}


def batch_size(count: int, placement: Placement) -> int:
    """Examples of a batch where each of `count` is asked for once."""
    devices = placement.mesh.shape["data"]
    return -(-min(TOGETHER, count) // devices) * devices


def _probabilities(forward, params, state, images, placement, title=""):
    size = batch_size(len(images), placement)
    batches = in_order(images, size, placement.rows(size))
    if title:  # in training the steps' own display stands there
        batches = with_progress(batches, -(-len(images) // size), title)
    return predict(forward, params, state, batches, placement)


@functools.cache
def class_logits(network: Functional, data: DataConfig) -> Callable[..., jax.Array]:
    """(params, state, {"images"}) -> logits, compiled once for a network and head."""
    return jax.jit(make_logits(network, data))


@functools.cache
def _forward(network, data):
    return compiled_once(make_forward(network, data))


def make_forward(network: Functional, data: DataConfig) -> Callable[..., jax.Array]:
    """(params, state, {"images"}) -> probabilities of the classes."""
    logits = make_logits(network, data)

    def forward(params, state, inputs):
        return jax.nn.softmax(logits(params, state, inputs))

    return forward


def make_logits(network: Functional, data: Any) -> Callable[..., jax.Array]:
    """(params, state, {"images"}) -> logits of the classes, or of each pixel."""

    def forward(params, state, inputs):
        images = normalize(data, inputs["images"])
        logits, _ = network.apply(params, state, images=images)
        return logits

    return forward


def _check(config, images):
    """Raises ValueError naming the field that does not fit the data."""
    metrics = ["accuracy"] + ["top5"] * (len(images.class_names) > 10)
    runs.check_best_metric(config.train, metrics)
    example = images.batch(np.zeros(1, int), None)["inputs"]["images"]
    height, width, channels = example.shape[1:]
    check_normalization(config.data, channels)
    for name, value, wanted in (
        ("model.num_classes", config.model.num_classes, len(images.class_names)),
        ("model.in_channels", config.model.in_channels, channels),
        ("model.image_size", config.model.image_size, max(height, width)),
    ):
        if value != wanted:
            classes = ""
            if name == "model.num_classes":
                classes = f" The classes: {class_list(images.class_names)}."
            raise ValueError(
                f"{name} must be {wanted} for data.name={config.data.name}; "
                f"got {value}.{classes}"
            )
