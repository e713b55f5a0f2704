"""The example that cards share, and how their pictures are drawn."""

import functools
import io
import pathlib
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gpsattn_jax.kernels import resize_bicubic
from gpsattn_jax.visualize import figures

SIDE = 16  # pixels of the example's side
PLACE = (8, 9)  # the circled pixel: row, column
DIGIT = 3  # of scikit-learn's, by its number in the set: it shows a 3


@functools.cache
def digit() -> np.ndarray:
    """[16, 16] in 0..1: a handwritten 3, twice its size."""
    from sklearn.datasets import load_digits

    small = jnp.asarray(load_digits().images[DIGIT], jnp.float32) / 16
    return np.clip(np.asarray(resize_bicubic(small, (SIDE, SIDE))), 0, 1)


@functools.cache
def pixels() -> jax.Array:
    """[T = 256, D = 9]: each pixel's 3 x 3 surroundings, centred, of like variance."""
    padded = np.pad(digit(), 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    found = windows.reshape(SIDE * SIDE, 9)
    return jnp.asarray(0.6 * (found - found.mean(0)) / found.std(0))


def gathered(attend: Callable, values: jax.Array, place: int) -> np.ndarray:
    """What a result adds up: the weights of all values in the result at one place.

    Args:
        attend: values [S, E] -> results [T, E], linear in the values.
        values: [S, E].
        place: t.

    Returns:
        [S], of the first channel: exact, by the gradient.
    """
    gradient = jax.grad(lambda values: attend(values)[place, 0])(values)
    return np.asarray(gradient[:, 0])


def over_digit(maps: Mapping[str, np.ndarray], *, mark: bool = True) -> Figure:
    """The digit, then each map of weights [256] or [16, 16] over it."""
    figure, axes = figures.new_figure(1.9 * (1 + len(maps)), 2.1, 1, 1 + len(maps))
    draw_image(axes[0, 0], digit(), "the image")
    for panel, (title, weights) in zip(axes[0, 1:], maps.items(), strict=True):
        draw_weights(panel, np.reshape(weights, (SIDE, SIDE)), title)
    for panel in axes[0] if mark else ():
        mark_place(panel)
    return figure


def draw_image(panel: Axes, image: np.ndarray, title: str) -> None:
    """An image in grey, dark ink on white."""
    panel.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    figures.hide_axes(panel, title)


def draw_weights(panel: Axes, weights: np.ndarray, title: str) -> None:
    """Signed numbers [rows, columns]: red adds, blue subtracts."""
    limit = float(np.abs(weights).max()) or 1.0
    panel.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figures.hide_axes(panel, title)


def mark_place(panel: Axes, place: tuple[int, int] = PLACE) -> None:
    """A ring around a pixel."""
    row, column = place
    for colour, width in (("white", 2.8), (figures.INK, 1.3)):
        panel.plot(column, row, "o", ms=8, mfc="none", mec=colour, mew=width)


def matrices(named: Mapping[str, np.ndarray], rows: str, columns: str) -> Figure:
    """Matrices side by side, with what their axes are."""
    figure, axes = figures.new_figure(2.5 * len(named), 2.6, 1, len(named))
    for panel, (title, matrix) in zip(axes[0], named.items(), strict=True):
        draw_weights(panel, matrix, title)
        panel.set_ylabel(rows, fontsize=8, color=figures.INK)
        panel.set_xlabel(columns, fontsize=8, color=figures.INK)
    return figure


def write_small(figure: Figure, path: pathlib.Path) -> None:
    """Writes a PNG of 256 colours: a third of the bytes, and no eye sees it."""
    from PIL import Image

    written = io.BytesIO()
    figure.savefig(written, format="png", facecolor="white")
    image = Image.open(written).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
