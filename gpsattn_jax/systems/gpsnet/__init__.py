"""GPS-Net: from clips of joints to a trained recogniser of actions."""

from gpsattn_jax.systems.gpsnet.run import (
    SETUPS,
    SYSTEM,
    AugmentConfig,
    Config,
    DataConfig,
    Machine,
    Recognizer,
    load_parts,
    num_splits,
    restore,
    train,
)

__all__ = [
    "SETUPS",
    "SYSTEM",
    "AugmentConfig",
    "Config",
    "DataConfig",
    "Machine",
    "Recognizer",
    "load_parts",
    "num_splits",
    "restore",
    "train",
]
