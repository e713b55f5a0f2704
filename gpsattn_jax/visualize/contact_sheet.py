"""A contact sheet: rows of small pictures, a name and a setting beside each."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.visualize import figures

CELL = 0.9  # inches
LABELS = 2.3  # inches at the left
GAP = 0.04  # share of a picture


def contact_sheet(
    rows: Sequence[tuple[str, str, np.ndarray]],
    columns: Sequence[str],
    title: str = "",
) -> Figure:
    """Draws rows of pictures below each other.

    Args:
        rows: (name, setting, images [n, H, W, C] in 0..1); n is the same for all.
        columns: what stands above each column.
        title: what stands above all.
    """
    whole = mosaic([images for _, _, images in rows])
    down, across = len(rows), len(columns)
    width = across * CELL + LABELS
    lines = textwrap.wrap(title, int(10 * width)) or [""]
    height = down * CELL + 0.5 + 0.2 * len(lines)
    figure = Figure(figsize=(width, height), dpi=150)
    left, bottom = (LABELS - 0.05) / width, 0.05 / height
    sheet = figure.add_axes((left, bottom, across * CELL / width, down * CELL / height))
    sheet.imshow(whole, extent=(0, across, down, 0), aspect="auto")
    figures.hide_axes(sheet)
    for place, text in enumerate(columns):
        at = place + (1 - GAP) / 2, -0.06
        sheet.text(*at, text, ha="center", va="bottom", fontsize=8, color=figures.INK)
    for place, (name, setting, _) in enumerate(rows):
        _write(sheet, place + 0.46, name, "bottom", 9, figures.INK)
        _write(sheet, place + 0.5, setting, "top", 7, figures.MUTED)
    corner = 0.1 / width, 1 - 0.1 / height
    text = "\n".join(lines)
    figure.text(*corner, text, va="top", fontsize=11, color=figures.INK)
    return figure


def mosaic(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of images [n, H, W, C] in 0..1 -> one RGB image, white between them."""
    return np.concatenate([_row(images) for images in rows], axis=0)


def _row(images):
    count, height, width, _ = images.shape
    below, right = (max(1, round(GAP * side)) for side in (height, width))
    paper = np.ones((height + below, count, width + right, 3))
    paper[:height, :, :width] = np.moveaxis(images, 0, 1)  # grey becomes RGB
    return paper.reshape(height + below, -1, 3)


def _write(sheet, down, text, lies, size, color):
    """Text at the left of the sheet, its last or first line at that row."""
    sheet.text(-0.1, down, text, ha="right", va=lies, fontsize=size, color=color)
