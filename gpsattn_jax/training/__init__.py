"""Training: `fit` and its parts. This room knows no system."""

from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.loop import fit

__all__ = ["TrainConfig", "fit"]
