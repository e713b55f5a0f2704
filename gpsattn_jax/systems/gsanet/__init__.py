"""GSA-Net: from a config to a trained, evaluated image classifier."""

from gpsattn_jax.systems.gsanet.run import SYSTEM
from gpsattn_jax.systems.gsanet.setups import SETUPS, Config

train, restore, evaluate = SYSTEM.train, SYSTEM.restore, SYSTEM.evaluate
predict, report, export = SYSTEM.predict, SYSTEM.report, SYSTEM.export

__all__ = [
    "SETUPS", "SYSTEM", "Config",
    "evaluate", "export", "predict", "report", "restore", "train",
]  # fmt: skip
