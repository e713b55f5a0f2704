"""GSA-Net: from a config to a trained, evaluated image classifier."""

import dataclasses
import os

from gpsattn_jax.data.augmentation import AugmentConfig
from gpsattn_jax.data.image_sets import DataConfig
from gpsattn_jax.models import gsanet
from gpsattn_jax.systems import image_classifier
from gpsattn_jax.systems import image_classifier_tables as tables
from gpsattn_jax.systems.image_classifier import Classifier
from gpsattn_jax.training.config import Machine, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run: network, data, augmentation, training.

    Attributes:
        init_from: a trained run's workdir, or a file of weights, to start from; a head
            of another width starts afresh.
    """

    model: gsanet.Config = gsanet.Config()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    init_from: str = ""


SYSTEM = image_classifier.System(
    name="gsanet",
    config_class=Config,
    build=gsanet.build,
    layers=("stem", r"blocks/(\d+)/", "head"),
)
CIFAR100 = DataConfig(
    name="cifar100",
    validation_images=5_000,
    mean=(0.507, 0.487, 0.441),
    std=(0.267, 0.256, 0.276),
)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PAPER90 = Config(
    data=DataConfig(
        name="imagenet",
        validation_images=10_000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        workers=8,
    ),
    augment=AugmentConfig(crop_scale=(0.08, 1.0), flip=True),
    train=TrainConfig(
        num_steps=90 * 1_271_167 // 2048,
        batch_size=2048,
        optimizer="sgd",
        learning_rate=0.1 * 2048 / 256,
        warmup_steps=5 * 1_271_167 // 2048,
        weight_decay=1e-4,
        decayed="all",
        clip_norm=0.0,
        evaluate_every=2_500,
    ),
)
SETUPS = {
    "digits": Config(
        model=gsanet.VARIANTS["8px"],
        data=DataConfig(name="digits"),
        augment=AugmentConfig(degrees=15, zoom=0.1, shift=0.7, shear=0.1),
        train=TrainConfig(
            num_steps=2000, batch_size=32, learning_rate=2e-3, evaluate_every=250
        ),
    ),
    "cifar100": Config(
        model=gsanet.VARIANTS["32px"],
        data=CIFAR100,
        augment=AugmentConfig(pad_crop=4, flip=True),
        train=TrainConfig(
            num_steps=35_000, batch_size=128, learning_rate=2e-3, evaluate_every=1_000
        ),
    ),
    # For two CPU cores: a run takes minutes.
    "cifar100_patches": Config(
        model=gsanet.VARIANTS["32px_patches"],
        data=CIFAR100,
        augment=AugmentConfig(pad_crop=4, flip=True),
        train=TrainConfig(
            num_steps=3_000,
            batch_size=32,
            learning_rate=2e-3,
            warmup_steps=200,
            evaluate_every=1_000,
        ),
    ),
    "imagenet_paper90": PAPER90,
}


def train(
    config: Config,
    workdir: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains, or goes on training, in `workdir`; see `image_classifier.train`."""
    image_classifier.train(SYSTEM, config, workdir, data_dir=data_dir, machine=machine)


def restore(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool = False,
    machine: Machine | None = None,
) -> Classifier:
    """The classifier that a run trained; see `image_classifier.restore`."""
    return image_classifier.restore(
        SYSTEM, workdir, choose, averaged=averaged, machine=machine
    )


def network_name(config: Config) -> str:
    """What a table calls the network: GSA-Net, or the ResNet twin without attention."""
    return f"{'GSA-Net' if any(config.model.attention) else 'ResNet'} (ours)"


def print_evaluation(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Prints the accuracy on the test images, with averaged weights too if kept."""
    classifier = restore(workdir, choose, machine=machine)
    averaged = None
    if classifier.config.train.ema_decay:
        averaged = restore(workdir, choose, averaged=True, machine=machine)
    name = network_name(classifier.config)
    tables.print_evaluation(classifier, name, averaged=averaged, data_dir=data_dir)
