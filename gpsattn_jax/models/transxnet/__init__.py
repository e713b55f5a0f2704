"""TransXNet: images in, classes or the maps of four stages out."""

from gpsattn_jax.models.transxnet.network import (
    NORMS,
    PER_STAGE,
    RESIZES,
    VARIANTS,
    Block,
    Config,
    Stage,
    TransXNet,
    build,
    fit_table,
    resize_tables,
)

__all__ = [
    "NORMS",
    "PER_STAGE",
    "RESIZES",
    "VARIANTS",
    "Block",
    "Config",
    "Stage",
    "TransXNet",
    "build",
    "fit_table",
    "resize_tables",
]
