"""The kernels that a dynamic convolution makes of two images, and what differs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.visualize import figures

CELL = 0.62  # inches
GAP = 0.35  # between groups, in cells


def kernels_figure(
    images: np.ndarray, kernels: Sequence[np.ndarray], *, count: int = 3
) -> Figure:
    """Two images above each other, their kernels beside them, and the differences.

    Of each stage the channels are shown whose kernels change the most for their size.
    Red is above zero, blue below; a channel's two kernels share a scale, and so do a
    stage's differences.

    Args:
        images: [2, H, W, C] in 0..1.
        kernels: for each stage [2, K, K, channels].
        count: channels of each stage.
    """
    stages = len(kernels)
    widths = [1.6, *([GAP] + [1] * count) * stages]
    width, height = CELL * sum(widths) + 0.2, CELL * 3 * 1.15 + 1.0
    figure = Figure(figsize=(width, height), dpi=150)
    grid = figure.add_gridspec(
        3,
        len(widths),
        width_ratios=widths,
        left=0.02,
        right=0.99,
        top=1 - 0.8 / height,
        bottom=0.05 / height,
        wspace=0.1,
        hspace=0.1,
    )
    words = (
        "The kernels that two images get, of the channels where they differ the most"
    )
    figures.say(figure, words)
    for line, image in enumerate(images):
        panel = figure.add_subplot(grid[line, 0])
        panel.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray")
        figures.hide_axes(panel)
    for stage, pair in enumerate(kernels):
        first = 2 + stage * (count + 1)
        channels = most_changed_channels(pair, count)
        panels = [
            [figure.add_subplot(grid[line, first + n]) for n in range(len(channels))]
            for line in range(3)
        ]
        _draw_stage(panels, pair, channels, f"stage {stage + 1}")
    note = figure.add_subplot(grid[2, 0])
    note.text(0.5, 0.5, "difference", ha="center", va="center", fontsize=9)
    figures.hide_axes(note)
    return figure


def most_changed_channels(pair: np.ndarray, count: int) -> np.ndarray:
    """The channels whose kernels [2, K, K, channels] differ most, for their size."""
    change = np.square(pair[0] - pair[1]).sum((0, 1))
    size = np.square(pair).sum((0, 1, 2))
    return np.argsort(-change / np.maximum(size, 1e-24), kind="stable")[:count]


def _draw_stage(panels, pair, channels, title):
    change = (pair[1] - pair[0])[..., channels]
    whole = float(np.abs(change).max()) or 1.0
    for place, channel in enumerate(channels):
        limit = float(np.abs(pair[..., channel]).max()) or 1.0
        for line, kernel in enumerate((*pair[..., channel], change[..., place])):
            panel, most = panels[line][place], whole if line == 2 else limit
            panel.imshow(kernel, cmap="RdBu_r", vmin=-most, vmax=most)
            figures.hide_axes(panel, f"ch. {channel}" if line == 0 else "")
            panel.title.set_fontsize(7)
            panel.title.set_color(figures.MUTED)
    panels[0][0].text(
        0, 1.45, title, transform=panels[0][0].transAxes, fontsize=9, color=figures.INK
    )
