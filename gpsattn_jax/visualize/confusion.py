"""The confusion matrix as a table of colour."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gpsattn_jax.visualize import figures

_ON_DEEP = ("white", "#ffd3c7")  # of what is right, of mistakes


def confusion_figure(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Counts by (label, prediction) [classes, classes]; colour is logarithmic.

    Up to 20 classes the counts are written into the cells, mistakes in red.
    """
    size = max(4.0, min(9.0, 0.42 * len(class_names) + 1.2))
    figure, axes = figures.new_figure(size, size)
    panel = axes[0, 0]
    cells = np.ma.masked_equal(counts, 0)
    panel.imshow(cells, cmap="Blues", norm=LogNorm(0.5, max(2.0, 2.0 * counts.max())))
    right = int(np.trace(counts))
    figures.tidy(panel, f"{right} of {int(counts.sum())} right")
    panel.set_xlabel("predicted", fontsize=9, color=figures.INK)
    panel.set_ylabel("label", fontsize=9, color=figures.INK)
    if len(class_names) > 20:
        return figure
    places = np.arange(len(class_names))
    panel.set_xticks(
        places, class_names, rotation=90 if max(map(len, class_names)) > 2 else 0
    )
    panel.set_yticks(places, class_names)
    dark = np.sqrt(max(2.0, 2.0 * counts.max()))  # from here on the blue is deep
    for row, column in np.argwhere(counts > 0).tolist():
        wrong, deep = row != column, bool(counts[row, column] > dark)
        panel.text(
            column,
            row,
            counts[row, column],
            ha="center",
            va="center",
            fontsize=8,
            fontweight="bold" if wrong else "normal",
            color=_ON_DEEP[wrong] if deep else (figures.INK, figures.ACCENT)[wrong],
        )
    return figure
