"""Global and positional attention in JAX: kernels, modules, four networks.

    kernels     pure functions for one head of one example
    modules     Flax modules around them
    models      the networks: Config, VARIANTS, build
    convert     weights of PyTorch models and our own files
    data        files to batches of arrays
    training    `fit` and its parts
    evaluation  scores and baselines
    visualize   pictures (needs the extra `plot`)
    systems     each network's whole journey: train, evaluate, predict, report
    pretrained  trained networks by name
    commands    what `gpsattn` and the scripts do

A room is imported when it is first asked for: `gpsattn_jax.kernels.attend`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = (
    "commands", "convert", "data", "evaluation", "kernels", "models", "modules",
    "pretrained", "systems", "training", "visualize",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
