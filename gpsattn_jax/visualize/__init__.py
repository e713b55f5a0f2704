"""Pictures (they need matplotlib, the extra `plot`).

    attention         what a pixel attends to, over images
    confusion         a table of labels and predictions, in colours
    contact_sheet     many small images on one page
    curves            learning curves
    dynamic_kernels   the kernels that examples mix
    figures           new figures of one look, and writing them
    fonts             what the fonts at hand can draw, in place of boxes
    masks             masks over pictures, each class in its colour
    overlays          maps over images
    page              the report: one HTML page
    palette           the colours of classes in masks
    skeletons         joints in motion, their parts and attention
    storyboard        the frames of a video's summary
    summary_scores    scores and shots over a video's time

Each is imported when it is first asked for.
"""

import importlib
from typing import Any

__all__ = [
    "attention", "confusion", "contact_sheet", "curves", "dynamic_kernels", "figures",
    "fonts", "masks", "overlays", "page", "palette", "skeletons", "storyboard",
    "summary_scores",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
