"""TransXNet: from a config to a trained, evaluated image classifier."""

from functools import partial

from gpsattn_jax.systems import image_classifier
from gpsattn_jax.systems.image_classifier import predict, probabilities
from gpsattn_jax.systems.transxnet.run import SYSTEM
from gpsattn_jax.systems.transxnet.setups import SETUPS, Config

__all__ = [
    "SETUPS", "SYSTEM", "Config",
    "evaluate", "export", "predict", "probabilities", "programs", "report", "restore",
    "train",
]  # fmt: skip

train = partial(image_classifier.train, SYSTEM)
restore = partial(image_classifier.restore, SYSTEM)
evaluate = partial(image_classifier.evaluate, SYSTEM)
report = partial(image_classifier.report, SYSTEM)
export = partial(image_classifier.export, SYSTEM)
programs = partial(image_classifier.programs, SYSTEM)
