"""Attention maps of one pixel over its image: signed, diverging colours."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.visualize import figures

KINDS = ("content", "column", "row", "position")


def attention_figure(
    images: np.ndarray,
    maps: Sequence[Mapping[str, np.ndarray]],
    at: Sequence[tuple[float, float]],
    titles: Sequence[str],
) -> Figure:
    """A line for each image: the image with its pixel, then each kind of map over it.

    Args:
        images: [n, H, W, C] in 0..1.
        maps: for each image, weights [h, w] by kind; a column's [h] and a row's [w] are
            drawn where that column and row lie.
        at: for each image, the pixel as (down, right) in shares of the image.
        titles: for each image, what stands beside it.
    """
    kinds = [kind for kind in KINDS if kind in maps[0]]
    count = len(images)
    figure, axes = figures.new_figure(
        1.75 * (1 + len(kinds)) + 0.4, 1.75 * count + 0.6, count, 1 + len(kinds)
    )
    figures.say(figure, "What the circled pixel attends to: red attracts, blue repels")
    for line, (image, found, place, title) in enumerate(
        zip(images, maps, at, titles, strict=True)
    ):
        _draw_image(axes[line, 0], image)
        _mark(axes[line, 0], place)
        figures.hide_axes(axes[line, 0], "image" if line == 0 else "")
        axes[line, 0].set_ylabel(title, fontsize=9, color=figures.INK)
        for panel, kind in zip(axes[line, 1:], kinds, strict=True):
            _draw_image(panel, image, faint=True)
            _draw_weights(panel, found[kind], kind, place)
            _mark(panel, place)
            figures.hide_axes(panel, kind if line == 0 else "")
    return figure


def _draw_image(panel, image, faint=False):
    panel.imshow(
        image[..., 0] if image.shape[-1] == 1 else image,
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(0, 1, 1, 0),
        alpha=0.35 if faint else 1.0,
    )


def _draw_weights(panel, weights, kind, place):
    """Red attracts, blue repels; the strongest weight of the map has full colour."""
    down, right = place
    left, width, top, height = 0.0, 1.0, 0.0, 1.0
    if kind == "column":
        weights, width = weights[:, None], 1 / len(weights)
        left = np.floor(right / width) * width
    elif kind == "row":
        weights, height = weights[None, :], 1 / len(weights)
        top = np.floor(down / height) * height
    limit = float(np.abs(weights).max()) or 1.0
    panel.imshow(
        weights,
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        extent=(left, left + width, top + height, top),
        alpha=0.75,
    )
    panel.set_xlim(0, 1)
    panel.set_ylim(1, 0)


def _mark(panel, place):
    down, right = place
    panel.plot(right, down, "o", ms=7, mfc="none", mec="white", mew=2.6)
    panel.plot(right, down, "o", ms=7, mfc="none", mec=figures.INK, mew=1.2)
