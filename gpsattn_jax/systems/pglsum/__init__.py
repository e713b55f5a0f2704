"""PGL-SUM: from annotated videos to a trained, evaluated summariser."""

from gpsattn_jax.systems.pglsum.run import (
    SETUPS,
    SYSTEM,
    Config,
    DataConfig,
    Machine,
    Summarizer,
    from_weights,
    load_videos,
    num_splits,
    restore,
    split_videos,
    train,
)

__all__ = [
    "SETUPS",
    "SYSTEM",
    "Config",
    "DataConfig",
    "Machine",
    "Summarizer",
    "from_weights",
    "load_videos",
    "num_splits",
    "restore",
    "split_videos",
    "train",
]
