"""GSA-Net: from a config to a trained, evaluated image classifier."""

from gpsattn_jax.systems.gsanet.run import (
    SETUPS,
    SYSTEM,
    Classifier,
    Config,
    Machine,
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
    "network_name",
    "print_evaluation",
    "restore",
    "train",
]
