"""Training, restoring and asking an image classifier: the journey they all share."""

import dataclasses
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gpsattn_jax import convert
from gpsattn_jax.configs import from_dict
from gpsattn_jax.convert.graft import Fit, fit_relative_table
from gpsattn_jax.data.batches import Batches, in_order
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.images import sets as image_sets
from gpsattn_jax.data.images.augment.recipe import augment_batch, left_for_device
from gpsattn_jax.data.images.labelled_sets import LabelledSets, class_list
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.data.images.sources import Images, ImageSet
from gpsattn_jax.data.prefetch import Prefetched
from gpsattn_jax.evaluation import classification
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.progress import with_progress
from gpsattn_jax.systems.saved_runs import open_run
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import fit
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.predict import predict
from gpsattn_jax.training.sharding import Placement, place


def _relative_tables(config: Any) -> Fit:
    del config
    return fit_relative_table


@dataclasses.dataclass(frozen=True)
class System:
    """What tells one image classifier from another.

    Attributes:
        name: of the system, as in `convert.SYSTEMS`.
        config_class: the dataclass of a whole run: model (with image_size, in_channels
            and num_classes), data, augment, train, and init_from.
        build: the network's config -> the network.
        layers: patterns of its layers, from the input up.
        fit: the network's config -> how arrays of another shape become the network's
            when it starts from a trained one, see `convert.graft`.
    """

    name: str
    config_class: type
    build: Callable[[Any], Functional]
    layers: tuple[str, ...]
    fit: Callable[[Any], Fit] = _relative_tables


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained network, ready to be asked.

    Attributes:
        config: of the run.
        class_names: a name for each class.
        step: of the checkpoint.
        network: the network.
        params: its parameters.
        state: its batch statistics.
        placement: the devices it is on.
    """

    config: Any
    class_names: tuple[str, ...]
    step: int
    network: Functional
    params: dict
    state: dict
    placement: Placement

    def probabilities(self, images: Images | np.ndarray) -> np.ndarray:
        """A set of images, or [n, H, W, C] in 0..1 (or uint8) -> [n, classes]."""
        if isinstance(images, np.ndarray):
            nothing = np.zeros(len(images), np.int32)
            images = ImageSet(images, nothing, self.class_names)
        forward = _forward(self.network, self.config.data)
        weights = self.params, self.state
        title = f"Classifying {len(images):,} pictures, batches"
        return _probabilities(forward, *weights, images, self.placement, title)


def train(
    system: System,
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
            augment=functools.partial(_augment, config, recipe, len(class_names)),
            settings=dataclasses.asdict(config)
            | {"class_names": class_names, "system": system.name},
            initial=(
                functools.partial(_initial, system, network, config)
                if config.init_from
                else None
            ),
            layers=system.layers,
            machine=machine,
        )


def restore(
    system: System,
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool = False,
    machine: Machine | None = None,
) -> Classifier:
    """The classifier that a run trained.

    Args:
        system: which.
        workdir: where `train` was told to work.
        choose: "latest" checkpoint, or the "best" one on the validation images.
        averaged: take the moving averages of the weights.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if `choose` is unknown, or the run is another system's or kept no
            averages.
    """
    placement = place(machine)
    with open_run(workdir, choose, system.name) as (checkpoints, step, settings):
        class_names = tuple(settings.pop("class_names"))
        config: Any = from_dict(system.config_class, settings)
        if averaged and not config.train.ema_decay:
            raise ValueError(
                f"{workdir}: the run kept no averages (train.ema_decay 0)."
            )
        network = system.build(config.model)
        shapes = (placement.shapes(tree) for tree in network.shapes())
        params, state = checkpoints.restore_weights(step, *shapes, averaged=averaged)
    return Classifier(config, class_names, step, network, params, state, placement)


def evaluate(
    classifier: Classifier,
    data_dir: str | os.PathLike | None = None,
    folder: str | os.PathLike | None = None,
) -> dict[str, float]:
    """Scores on the test images.

    Args:
        classifier: a trained network.
        data_dir: the folder of data sets.
        folder: of class folders to score instead; see `test_images`.

    Returns:
        {"images": how many, "accuracy", "loss"}, and of many classes "top5".
    """
    test = test_images(classifier.config, classifier.class_names, data_dir, folder)
    return {"images": len(test)} | scores(classifier.probabilities(test), test.labels)


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


def normalize(config: DataConfig, images: jax.Array) -> jax.Array:
    """[…, C] in 0..1, or uint8 -> what the network takes."""
    if images.dtype == np.uint8:
        images = images.astype(np.float32) / 255
    mean, std = (
        np.asarray(values, np.float32).reshape((1,) * (images.ndim - 1) + (-1,))
        for values in (config.mean, config.std)
    )
    return (images - mean) / std


def _augment(config, recipe, num_classes, batch, key):
    """What training does to a batch, and the normalisation."""
    batch = augment_batch(recipe, batch, key, num_classes)
    images = normalize(config.data, batch["inputs"]["images"])
    return {**batch, "inputs": {**batch["inputs"], "images": images}}


def _initial(system, network, config):
    """Weights to start from: of a run, or of a file."""
    path = pathlib.Path(config.init_from)
    if (path / "checkpoints").is_dir():
        found = restore(system, path)
        weights = jax.device_get((found.params, found.state))
    else:
        _, *weights = convert.load(system.name, path)
    params, state, replaced = convert.graft(
        network,
        jax.random.key(config.train.seed),
        *weights,
        fit=system.fit(config.model),
    )
    for line in replaced:
        print(f"{path}: {line}")
    return params, state


def batch_size(count: int, placement: Placement) -> int:
    """Examples of a batch where each of `count` is asked for once."""
    devices = placement.mesh.shape["data"]
    return -(-min(256, count) // devices) * devices


def _probabilities(forward, params, state, images, placement, title=""):
    size = batch_size(len(images), placement)
    batches = in_order(images, size, placement.rows(size))
    if title:  # in training the steps' own display stands there
        batches = with_progress(batches, -(-len(images) // size), title)
    return predict(forward, params, state, batches, placement)


@functools.cache
def class_logits(network: Functional, data: DataConfig) -> Callable[..., jax.Array]:
    """(params, state, {"images"}) -> logits, compiled once for a network."""

    @jax.jit
    def forward(params, state, inputs):
        images = normalize(data, inputs["images"])
        logits, _ = network.apply(params, state, images=images)
        return logits

    return forward


@functools.cache
def _forward(network, data):
    logits = class_logits(network, data)
    return jax.jit(lambda *arguments: jax.nn.softmax(logits(*arguments)))


def _check(config, images):
    """Raises ValueError naming the field that does not fit the data."""
    metrics = ["accuracy"] + ["top5"] * (len(images.class_names) > 10)
    metrics += [f"ema/{name}" for name in metrics if config.train.ema_decay]
    if config.train.best_metric not in metrics:
        raise ValueError(
            f"train.best_metric must be one of {', '.join(metrics)}; "
            f"got {config.train.best_metric!r}."
        )
    example = images.batch(np.zeros(1, int), None)["inputs"]["images"]
    height, width, channels = example.shape[1:]
    for name, values in (("mean", config.data.mean), ("std", config.data.std)):
        if len(values) not in (1, channels) or (name == "std" and min(values) <= 0):
            raise ValueError(
                f"data.{name} must be one number, or one for each of {channels} "
                f"channels{', above 0' * (name == 'std')}; got {values}."
            )
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
