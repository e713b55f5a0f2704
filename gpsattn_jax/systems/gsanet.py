"""GSA-Net: from a config to a trained, evaluated image classifier."""

import csv
import dataclasses
import functools
import os

import jax
import numpy as np

from gpsattn_jax.configs import from_dict
from gpsattn_jax.data import images as image_data
from gpsattn_jax.data.augment import random_affine
from gpsattn_jax.data.batches import Batches, in_order
from gpsattn_jax.data.images import DataConfig, ImageSet
from gpsattn_jax.evaluation import classification
from gpsattn_jax.files import replaced
from gpsattn_jax.models import gsanet
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.loop import fit, open_checkpoints
from gpsattn_jax.training.losses import cross_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run: network, data, training."""

    model: gsanet.Config = gsanet.Config()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()


SETUPS = {
    "digits": Config(
        model=gsanet.VARIANTS["8px"],
        data=DataConfig(name="digits", degrees=15, zoom=0.1, shift=0.7, shear=0.1),
        train=TrainConfig(
            num_steps=2000, batch_size=32, learning_rate=2e-3, evaluate_every=250
        ),
    ),
}


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
    """

    config: Config
    class_names: tuple[str, ...]
    step: int
    network: Functional
    params: dict
    state: dict

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """[n, H, W, C] in 0..1 -> [n, classes]."""
        predict = functools.partial(_predict, self.network, self.config.data)
        return predict(images, self.params, self.state)


def train(config: Config, workdir: str | os.PathLike) -> None:
    """Trains, or goes on training, in `workdir`; scores the validation images too.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after saving; the same call goes on from there.
        ValueError: if the config does not fit itself, the data or the checkpoint.
    """
    sets = image_data.load(config.data.name)
    _check(config, sets["train"])
    network = gsanet.build(config.model)
    batches = Batches(
        {"images": sets["train"].images},
        {"label": sets["train"].labels},
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        augment=functools.partial(augment, config.data),
    )
    predict = functools.partial(_predict, network, config.data)

    def evaluate(params, state):
        return scores(
            predict(sets["validation"].images, params, state), sets["validation"]
        )

    fit(
        network,
        cross_entropy(config.train.label_smoothing),
        batches,
        evaluate,
        config.train,
        workdir,
        settings=dataclasses.asdict(config)
        | {"class_names": sets["train"].class_names},
    )


def restore(workdir: str | os.PathLike, choose: str = "latest") -> Classifier:
    """The classifier that a run trained.

    Args:
        workdir: where `train` was told to work.
        choose: "latest" checkpoint, or the "best" one on the validation images.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if `choose` is unknown.
    """
    if choose not in ("latest", "best"):
        raise ValueError(f"choose must be one of latest, best; got {choose!r}.")
    with open_checkpoints(workdir) as checkpoints:
        step = checkpoints.latest() if choose == "latest" else checkpoints.best()
        if step is None:
            raise FileNotFoundError(
                f"{checkpoints.folder}: no finished checkpoint yet."
            )
        settings = checkpoints.metadata(step)
        class_names = tuple(settings.pop("class_names"))
        config = from_dict(Config, settings)
        network = gsanet.build(config.model)
        params, state = checkpoints.restore_weights(step, *network.shapes())
    return Classifier(config, class_names, step, network, params, state)


def evaluate(classifier: Classifier) -> dict[str, float]:
    """Scores on the test images: {"images": how many, "accuracy", "loss"}."""
    test = image_data.load(classifier.config.data.name)["test"]
    return {"images": len(test)} | scores(classifier.probabilities(test.images), test)


def predict(
    workdir: str | os.PathLike,
    images: str | os.PathLike,
    output: str | os.PathLike | None = None,
    *,
    choose: str = "latest",
    invert: bool = False,
    count: int = 3,
) -> list[tuple[str, list[tuple[str, float]]]]:
    """The top classes of a user's own image files.

    Args:
        workdir: of a trained run.
        images: a folder, a glob pattern or a file.
        output: optional CSV: file, then class and probability `count` times.
        choose: "latest" checkpoint, or the "best" one on the validation images.
        invert: swap dark and bright first (dark ink on paper, for the digits).
        count: classes for each image.

    Returns:
        [(file, [(class name, probability), …]), …].

    Raises:
        FileNotFoundError: if there are no images.
        ValueError: names a file that is no readable image.
    """
    classifier = restore(workdir, choose)
    model = classifier.config.model
    files = image_data.find_images(images)
    pixels = image_data.read_images(files, model.image_size, model.in_channels)
    rows = classifier.probabilities(1 - pixels if invert else pixels)
    found = [
        (str(file), classification.top_classes(row, classifier.class_names, count))
        for file, row in zip(files, rows, strict=True)
    ]
    if output is not None:
        _write_predictions(output, found)
    return found


def scores(probabilities: np.ndarray, images: ImageSet) -> dict[str, float]:
    """Accuracy and cross-entropy of probabilities [n, classes]."""
    return {
        "accuracy": classification.accuracy(probabilities, images.labels),
        "loss": classification.cross_entropy(probabilities, images.labels),
    }


def augment(config: DataConfig, inputs: dict, key: jax.Array) -> dict:
    """What training does to a batch of images in 0..1, and the normalisation."""
    images = random_affine(
        inputs["images"],
        key,
        degrees=config.degrees,
        zoom=config.zoom,
        shift=config.shift,
        shear=config.shear,
    )
    return {"images": normalize(config, images)}


def normalize(config: DataConfig, images: jax.Array) -> jax.Array:
    """[…, C] in 0..1 -> what the network takes."""
    mean, std = (
        np.asarray(values, np.float32).reshape((1,) * (images.ndim - 1) + (-1,))
        for values in (config.mean, config.std)
    )
    return (images - mean) / std


def _predict(network, data, images, params, state, batch_size=256):
    """Probabilities of every image once, in batches of one shape."""
    forward = _forward(network, data)
    rows = [
        np.asarray(forward(params, state, batch["images"]))[:count]
        for batch, count in in_order({"images": images}, min(batch_size, len(images)))
    ]
    return np.concatenate(rows)


@functools.cache
def _forward(network, data):
    @jax.jit
    def forward(params, state, images):
        logits, _ = network.apply(params, state, images=normalize(data, images))
        return jax.nn.softmax(logits)

    return forward


def _check(config, images):
    """Raises ValueError naming the field that does not fit the data."""
    height, width, channels = images.images.shape[1:]
    for name, value, wanted in (
        ("model.num_classes", config.model.num_classes, len(images.class_names)),
        ("model.in_channels", config.model.in_channels, channels),
        ("model.image_size", config.model.image_size, max(height, width)),
    ):
        if value != wanted:
            raise ValueError(
                f"{name} must be {wanted} for data.name={config.data.name}; "
                f"got {value}."
            )


def _write_predictions(path, found):
    ranks = range(1, len(found[0][1]) + 1)
    titles = [f"{kind}_{rank}" for rank in ranks for kind in ("class", "probability")]
    with replaced(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *titles])
        for name, classes in found:
            cells = [cell for label, p in classes for cell in (label, f"{p:.4f}")]
            writer.writerow([name, *cells])
