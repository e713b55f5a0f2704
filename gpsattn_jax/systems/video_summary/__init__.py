"""A video in, a summary out; a folder of videos in, a file of features out.

What draws (`report`) needs matplotlib and is imported by itself.
"""

import importlib
from typing import Any

_HOMES = {
    "Extraction": "extraction",
    "extract_folder": "extraction",
    "EXTRACTORS": "frame_features",
    "extract_features": "frame_features",
    "Config": "result",
    "Summary": "result",
    "print_summary": "result",
    "plan_summary": "run",
    "summarize_video": "run",
    "write_summary": "run",
    "Scorer": "scorers",
    "choose_scorer": "scorers",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
