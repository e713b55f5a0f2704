"""The look that all pictures share, and how they are written."""

import pathlib
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from gpsattn_jax.visualize import fonts

# On white all can be read (a contrast of 4.5), and told apart without red or green.
INK, MUTED, ACCENT, SECOND = "#1d2330", "#667082", "#b5452c", "#2c6fb5"
GRID = "#e6e8ec"


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> Any:
    """A figure in the house's look.

    Args:
        width: in inches.
        height: likewise.
        rows: of axes.
        columns: likewise.

    Returns:
        (the figure, its axes [rows, columns]).
    """
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def tidy(axes: Axes, title: str = "") -> None:
    """Thin grey frame without top and right, title at the left."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8)


def say(figure: Figure, title: str) -> None:
    """What a figure of several panels shows, above them."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)


def hide_axes(axes: Axes, title: str = "") -> None:
    """No frame and no ticks, for images."""
    axes.set_title(title, fontsize=9, color=INK)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def write(figure: Figure, path: pathlib.Path) -> pathlib.Path:
    """Writes a PNG and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            named = axis.get_major_formatter()
            if isinstance(named, FixedFormatter):  # it would write its own names again
                named.seq = [fonts.legible(name) for name in named.seq]
    for text in figure.findobj(Text):
        text.set_text(fonts.legible(text.get_text()))
        text.set_fontfamily(list(fonts.families()))
        text.set_parse_math(False)  # a class may be called "A$AP" or "$5 and $6"
    figure.savefig(path, facecolor="white")
    return path
