"""The record of an image classifier: what it does not share with the others."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from gpsattn_jax.convert.graft import Fit, fit_relative_table
from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems.run_files import TrainedRun

Draw = Callable[[TrainedRun, Images, np.ndarray], dict[str, Any]]


def _fit_tables(config: Any) -> Fit:
    del config
    return fit_relative_table


def _draw_nothing(run: TrainedRun, images: Images, probabilities: np.ndarray) -> dict:
    del run, images, probabilities
    return {}


@dataclasses.dataclass(frozen=True)
class ImageClassifier:
    """What an image classifier has of its own, in the journey that all of them share.

    Attributes:
        name: of the system, as in `systems.SYSTEMS`.
        title: the config of a run -> what people call its network.
        config_class: the dataclass of a whole run: model (with image_size, in_channels
            and num_classes), data, augment, train, and init_from.
        build: the network's config -> the network.
        layers: patterns of its layers, from the input up.
        fit: the network's config -> how arrays of another shape become the network's
            when it starts from a trained one, see `convert.graft`.
        draw: (run, test images, probabilities) -> pictures for its report.
    """

    name: str
    title: Callable[[Any], str]
    config_class: type
    build: Callable[[Any], Functional]
    layers: tuple[str, ...]
    fit: Callable[[Any], Fit] = _fit_tables
    draw: Draw = _draw_nothing
