"""Networks: a file or folder for each, with `Config`, `VARIANTS` and `build`.

    gpsnet              joint sequences to a class
    gsanet              images to a class; its blocks mix pixels by `MIXERS`
    pglsum              frame features to scores of importance
    transxnet           images to a class, or to feature maps
    efficientnet_lite   images to features, for videos
    semantic_fpn        images to a class for each pixel, over the maps of two others

A network is imported when it is first asked for.
"""

import importlib
from typing import Any

__all__ = [
    "efficientnet_lite", "gpsnet", "gsanet", "pglsum", "semantic_fpn", "transxnet",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
