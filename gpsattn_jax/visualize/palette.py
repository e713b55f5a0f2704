"""Colours of classes in masks, of NumPy alone: who writes masks needs no `plot`."""

import colorsys

import numpy as np

# Okabe and Ito's, which colour-blind people tell apart; class 0 is often the ground.
_FIRST = (
    "2b2b2b", "e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7",
    "ffffff", "882255", "44aa99",
)  # fmt: skip
_TURN = 0.61803398875  # of the circle of hues: neighbours in number are far apart
SHARE = 0.65  # of a mask's colour over a picture
UNCOUNTED = 255


def class_colors() -> np.ndarray:
    """A colour for each number that a mask can hold: [256, 3] uint8, 255 grey."""
    colors = [bytes.fromhex(text) for text in _FIRST]
    for number in range(len(colors), UNCOUNTED):
        hue, light = number * _TURN % 1, (0.4, 0.55, 0.7)[number % 3]
        rgb = colorsys.hls_to_rgb(hue, light, 0.75)
        colors.append(bytes(round(255 * value) for value in rgb))
    return np.array([*map(list, colors), [128, 128, 128]], np.uint8)


def over(
    picture: np.ndarray, mask: np.ndarray | None, colors: np.ndarray
) -> np.ndarray:
    """A picture under the colours of its mask.

    Args:
        picture: [H, W, 1 or 3] uint8.
        mask: [H, W] whole numbers; None for the picture as it is.
        colors: as from `class_colors`.

    Returns:
        [H, W, 3] uint8.
    """
    rgb = np.broadcast_to(picture, (*picture.shape[:2], 3))
    if mask is None:
        return rgb
    mixed = (1 - SHARE) * rgb + SHARE * colors[mask]
    return mixed.round().astype(np.uint8)
