"""The confusion matrix as a table of colour, or as a picture and a list."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gpsattn_jax.visualize import figures, fonts
from gpsattn_jax.visualize.storyboard import shorten

NAMED = 20  # classes; of more the names beside the matrix could not be read
PAIRS = 24  # confusions in the list beside that of more
LETTERS = 22  # of a name in the list

_ON_DEEP = ("white", "#ffd3c7")  # of what is right, of mistakes


def confusion_figure(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Counts by (label, prediction) [classes, classes]; colour is logarithmic.

    Up to 20 classes the counts are written into the cells, mistakes in red. Of more,
    classes are numbered, and the most frequent mistakes stand beside as a list.
    """
    if len(class_names) > NAMED:
        return _picture_and_list(counts, class_names)
    size = max(4.0, min(9.0, 0.42 * len(class_names) + 1.2))
    figure, axes = figures.new_figure(size, size)
    _draw_matrix(axes[0, 0], counts)
    _write_counts(axes[0, 0], counts, class_names)
    return figure


def most_confused(counts: np.ndarray, most: int) -> list[tuple[int, int, int]]:
    """Mistakes (how often, label, prediction), the most frequent first.

    Args:
        counts: [classes, classes] by label and prediction.
        most: how many at most.
    """
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    found = [(int(wrong[pair]), int(pair[0]), int(pair[1])) for pair in pairs]
    return [mistake for mistake in found if mistake[0]]


def _draw_matrix(panel, counts):
    cells = np.ma.masked_equal(counts, 0)
    panel.imshow(cells, cmap="Blues", norm=LogNorm(0.5, max(2.0, 2.0 * counts.max())))
    right, whole = int(np.trace(counts)), int(counts.sum())
    share = f" ({100 * right / whole:.1f} %)" if whole else ""
    figures.tidy(panel, f"{right} of {whole} right{share}")
    panel.set_xlabel("predicted class", fontsize=9, color=figures.INK)
    panel.set_ylabel("label", fontsize=9, color=figures.INK)


def _write_counts(panel, counts, class_names):
    places = np.arange(len(class_names))
    names = [shorten(fonts.legible(name), 40) for name in class_names]
    panel.set_xticks(places, names, rotation=90 if max(map(len, names)) > 2 else 0)
    panel.set_yticks(places, names)
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


def _picture_and_list(counts, class_names):
    figure = Figure(figsize=(10.4, 5.4), dpi=150)
    matrix = figure.add_axes((0.055, 0.085, 0.45, 0.86))
    _draw_matrix(matrix, counts)
    matrix.set_xlabel("number of the predicted class", fontsize=9, color=figures.INK)
    matrix.set_ylabel("number of the label", fontsize=9, color=figures.INK)
    beside = figure.add_axes((0.535, 0.085, 0.455, 0.86))
    figures.hide_axes(beside)
    beside.set_ylim(PAIRS, -1)
    beside.set_title("most confused", loc="left", fontsize=10, color=figures.INK)
    ink: dict[str, Any] = {"fontsize": 7.5, "va": "center", "color": figures.INK}
    for row, (count, *pair) in enumerate(most_confused(counts, PAIRS)):
        label, predicted = (_numbered(n, class_names) for n in pair)
        often = {"color": figures.ACCENT, "fontweight": "bold", "ha": "right"}
        beside.text(0.05, row, f"{count}", **ink | often)
        beside.text(0.08, row, label, **ink)
        beside.text(0.53, row, f"as {predicted}", **ink)
    return figure


def _numbered(place, class_names):
    return f"{place} {shorten(fonts.legible(class_names[place]), LETTERS)}"
