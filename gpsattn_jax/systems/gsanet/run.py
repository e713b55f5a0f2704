"""GSA-Net among the image classifiers: its layers, its name, its pictures."""

import numpy as np

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.models import gsanet
from gpsattn_jax.systems.gsanet.setups import Config
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.runs import TrainedRun


def title(config: Config) -> str:
    """GSA-Net, or the ResNet twin without attention."""
    return "GSA-Net" if any(config.model.attention) else "ResNet"


def _draw(run: TrainedRun, images: Images, probabilities: np.ndarray) -> dict:
    from gpsattn_jax.systems.gsanet import pictures  # needs matplotlib

    return pictures.draw(run, images, probabilities)


SYSTEM = ImageClassifier(
    name="gsanet",
    title=title,
    config_class=Config,
    build=gsanet.build,
    layers=("stem", r"blocks/(\d+)/", "head"),
    draw=_draw,
)
