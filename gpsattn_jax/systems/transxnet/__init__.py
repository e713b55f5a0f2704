"""TransXNet: from a config to a trained, evaluated image classifier."""

from gpsattn_jax.systems.transxnet.run import (
    SETUPS,
    SYSTEM,
    Classifier,
    Config,
    Machine,
    fit_positions,
    network_name,
    print_evaluation,
    restore,
    train,
)

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
