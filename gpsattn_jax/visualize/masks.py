"""Masks over pictures, each class in a colour of its own."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gpsattn_jax.visualize import figures
from gpsattn_jax.visualize.palette import UNCOUNTED, over

MOST_NAMES = 24  # in a legend


def masks_figure(
    pictures: Sequence[np.ndarray],
    masks: Sequence[Sequence[tuple[str, np.ndarray]]],
    titles: Sequence[str],
    class_names: Sequence[str],
    colors: np.ndarray,
) -> Figure:
    """A line for each picture: as it is, and under each of its masks.

    Args:
        pictures: [H, W, C] uint8 each.
        masks: for each picture, (what stands above, [H, W]) for the same number.
        titles: for each picture, what stands beside it.
        class_names: a name for each class; those that are in a mask are explained.
        colors: [256, 3] uint8, see `palette.class_colors`.
    """
    across = 1 + len(masks[0])
    size = 2.0 * across + 1.6, 2.1 * len(pictures) + 0.4
    figure, axes = figures.new_figure(*size, len(pictures), across)
    there: set[int] = set()
    for line, (picture, found, title) in enumerate(
        zip(pictures, masks, titles, strict=True)
    ):
        axes[line, 0].imshow(over(picture, None, colors), interpolation="nearest")
        figures.hide_axes(axes[line, 0], "picture" if line == 0 else "")
        axes[line, 0].set_ylabel(title, fontsize=9, color=figures.INK)
        for panel, (words, mask) in zip(axes[line, 1:], found, strict=True):
            panel.imshow(over(picture, mask, colors), interpolation="nearest")
            figures.hide_axes(panel, words if line == 0 else "")
            there |= set(np.unique(mask).tolist())
    names = {n: class_names[n] for n in sorted(there) if n < len(class_names)}
    names = dict(list(names.items())[:MOST_NAMES])
    if UNCOUNTED in there:
        names[UNCOUNTED] = "does not count"
    patches = [
        Patch(facecolor=colors[n] / 255, edgecolor=figures.MUTED, label=name)
        for n, name in names.items()
    ]
    figure.legend(handles=patches, loc="outside right upper", fontsize=8, frameon=False)
    return figure
