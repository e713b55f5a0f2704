"""GSA-Net among the image classifiers: its layers, its name, its pictures."""

import numpy as np

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.models import gsanet
from gpsattn_jax.systems.gsanet.setups import Config
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.run_files import TrainedRun


def title(config: Config) -> str:
    """GSA-Net, or a ResNet and what else mixes its pixels."""
    mixers = dict.fromkeys(config.model.mixers)
    if "gsa" in mixers:
        return "GSA-Net"
    others = " and ".join(name for name in mixers if name != "conv")
    return f"ResNet with {others}" if others else "ResNet"


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
