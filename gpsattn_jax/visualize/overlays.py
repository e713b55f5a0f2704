"""Signed maps over images, one line for each image: red for, blue against."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from gpsattn_jax.visualize import figures

_FOR, _AGAINST = to_rgb("#c8102e"), to_rgb("#0b5fb0")
# What says nothing is left clear.
_COLORS = LinearSegmentedColormap.from_list(
    "overlay", [(0, (*_AGAINST, 0.85)), (0.5, (1, 1, 1, 0)), (1, (*_FOR, 0.85))]
)


def overlay_figure(
    images: np.ndarray,
    maps: Sequence[Sequence[tuple[str, np.ndarray]]],
    titles: Sequence[str],
    *,
    at: Sequence[tuple[float, float]] | None = None,
    least: float = 0.0,
    smooth: bool = False,
) -> Figure:
    """Each image, and the same in grey with each of its maps over it.

    Args:
        images: [n, H, W, C] in 0..1.
        maps: for each image, (what stands above, [h, w]) for the same number of maps;
            they share a scale.
        titles: for each image, what stands beside it.
        at: for each image, a place to circle, as (down, right) in shares of the image.
        least: the scale ends at this value at least.
        smooth: draw maps of few pixels without edges.
    """
    count, across = len(images), len(maps[0])
    size = 1.9 * (1 + across) + 0.5, 2.05 * count
    figure, axes = figures.new_figure(*size, count, 1 + across)
    for line, (image, found, title) in enumerate(
        zip(images, maps, titles, strict=True)
    ):
        limit = max(least, *(float(np.abs(values).max()) for _, values in found)) or 1.0
        _draw_image(axes[line, 0], image)
        figures.hide_axes(axes[line, 0])
        axes[line, 0].set_ylabel(title, fontsize=9, color=figures.INK)
        for panel, (words, values) in zip(axes[line, 1:], found, strict=True):
            _draw_image(panel, image.mean(-1, keepdims=True))
            _draw_map(panel, values, limit, smooth)
            figures.hide_axes(panel, words)
        if at is not None:
            for panel in axes[line]:
                _mark(panel, *at[line])
    return figure


def _draw_image(panel, image):
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    panel.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=(0, 1, 1, 0))


def _draw_map(panel, values, limit, smooth):
    panel.imshow(
        values,
        cmap=_COLORS,
        vmin=-limit,
        vmax=limit,
        extent=(0, 1, 1, 0),
        interpolation="bicubic" if smooth else "nearest",
    )


def _mark(panel, down, right):
    panel.plot(right, down, "o", ms=7, mfc="none", mec="white", mew=2.6)
    panel.plot(right, down, "o", ms=7, mfc="none", mec=figures.INK, mew=1.2)
