"""Training: `fit` and its parts. This room knows no system."""

from gpsattn_jax.training.config import Machine, TrainConfig
from gpsattn_jax.training.loop import fit

__all__ = ["Machine", "TrainConfig", "fit"]
