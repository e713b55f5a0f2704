"""TransXNet: from a config to a trained, evaluated image classifier."""

from gpsattn_jax.systems.transxnet.run import SYSTEM
from gpsattn_jax.systems.transxnet.setups import SETUPS, Config

train, restore, evaluate = SYSTEM.train, SYSTEM.restore, SYSTEM.evaluate
predict, report, export = SYSTEM.predict, SYSTEM.report, SYSTEM.export

__all__ = [
    "SETUPS", "SYSTEM", "Config",
    "evaluate", "export", "predict", "report", "restore", "train",
]  # fmt: skip
