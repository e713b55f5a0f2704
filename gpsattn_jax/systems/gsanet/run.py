"""GSA-Net: from a config to a trained, evaluated image classifier."""

import os

from gpsattn_jax.models import gsanet
from gpsattn_jax.systems.gsanet.setups import SETUPS, Config
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier import tables
from gpsattn_jax.systems.image_classifier.run import Classifier
from gpsattn_jax.training.config import Machine

__all__ = [
    "SETUPS",
    "SYSTEM",
    "Classifier",
    "Config",
    "Machine",
    "network_name",
    "print_evaluation",
    "restore",
    "train",
]

SYSTEM = image_classifier.System(
    name="gsanet",
    config_class=Config,
    build=gsanet.build,
    layers=("stem", r"blocks/(\d+)/", "head"),
)


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
    """What a table calls the network: GSA-Net, or a ResNet and its other mixers."""
    mixers = dict.fromkeys(config.model.mixers)
    if "gsa" in mixers:
        return "GSA-Net (ours)"
    others = " and ".join(name for name in mixers if name != "conv")
    return f"ResNet with {others} (ours)" if others else "ResNet (ours)"


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
