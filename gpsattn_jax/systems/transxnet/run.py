"""TransXNet: from a config to a trained, evaluated image classifier."""

import math
import os

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.convert.graft import Fit
from gpsattn_jax.models import transxnet
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier import tables
from gpsattn_jax.systems.image_classifier.run import Classifier
from gpsattn_jax.systems.transxnet.setups import SETUPS, Config
from gpsattn_jax.training.config import Machine

__all__ = [
    "SETUPS",
    "SYSTEM",
    "Classifier",
    "Config",
    "Machine",
    "fit_positions",
    "network_name",
    "print_evaluation",
    "restore",
    "train",
]


def fit_positions(config: transxnet.Config) -> Fit:
    """How a stage's table of positions becomes one for another size of image."""

    def fit(
        path: str, array: np.ndarray, shape: tuple[int, ...]
    ) -> tuple[jax.Array, str] | None:
        grid, wanted = _grid(array.shape), _grid(shape)
        if not path.endswith("/position") or len(array) != shape[0] or grid is None:
            return None
        fitted = transxnet.fit_table(
            jnp.asarray(array), grid, wanted, config.table_resize
        )
        return fitted, "resized"

    return fit


# A downsampling learns with the first block above it, and so does the table of
# positions; at most eight stages, whose stride is 512.
SYSTEM = image_classifier.System(
    name="transxnet",
    config_class=Config,
    build=transxnet.build,
    layers=(
        "stem/",
        *(
            rf"downsamples/{stage - 1}/|stages/{stage}/(?:position|blocks/(\d+)/)"
            for stage in range(8)
        ),
        "norm/|head/",
    ),
    fit=fit_positions,
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
    """What a table calls the network."""
    del config
    return "TransXNet (ours)"


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


def _grid(shape):
    """The grid of a table [N, T, S] that belongs to square images; else None."""
    sides = [math.isqrt(size) for size in shape[1:]]
    if len(sides) != 2 or tuple(side**2 for side in sides) != tuple(shape[1:]):
        return None
    return sides[0], sides[0], sides[1], sides[1]
