"""The box of a random resized crop: one rule for images on the host and on the device.

Draws in NumPy give a box in NumPy, those in JAX one in JAX, also under `jit`, `vmap`.
"""

from collections.abc import Sequence
from typing import Any

TRIES = 10  # boxes that are drawn; the first one that fits the image is taken


def random_box(
    draws: Any,
    height: int,
    width: int,
    scale: Sequence[float] = (0.08, 1.0),
    ratio: Sequence[float] = (3 / 4, 4 / 3),
) -> Any:
    """A box of random area and shape (Szegedy et al. 2014), by torchvision's rule.

    Args:
        draws: [2, TRIES + 1] uniform in 0..1: areas and ratios of the tries; the last
            ones place the box.
        height: of the image.
        width: of the image.
        scale: range of the box's share of the area, uniform.
        ratio: range of the box's width divided by its height, uniform in its logarithm.

    Returns:
        int [4]: top, left, height, width. Where no try fits the image it is the largest
        box in the middle whose sides are in `ratio`.
    """
    xp = draws.__array_namespace__()
    rows, columns = box_sizes(draws, height * width, scale, ratio)
    fits = (rows >= 1) & (rows <= height) & (columns >= 1) & (columns <= width)
    first = xp.argmax(fits)
    middle = xp.asarray(_largest(height, width, ratio))
    sides = xp.where(fits.any(), xp.stack([rows[first], columns[first]]), middle)
    room = xp.asarray([height, width]) - sides
    corner = xp.where(fits.any(), random_corner(draws, room), room // 2)
    return xp.concat([corner, sides])


def box_sizes(
    draws: Any, pixels: int, area: Sequence[float], ratio: Sequence[float]
) -> tuple[Any, Any]:
    """The sides of all tries.

    Args:
        draws: as for `random_box`.
        pixels: of the image.
        area: range of the box's share of them.
        ratio: range of width divided by height.

    Returns:
        Heights and widths, whole numbers [TRIES] each; they may not fit the image.
    """
    xp = draws.__array_namespace__()
    share = area[0] + (area[1] - area[0]) * draws[0, :TRIES]
    shape = ratio[0] * (ratio[1] / ratio[0]) ** draws[1, :TRIES]
    sides = xp.sqrt(pixels * share / shape), xp.sqrt(pixels * share * shape)
    rows, columns = (xp.round(side).astype(xp.int32) for side in sides)
    return rows, columns


def random_corner(draws: Any, room: Any) -> Any:
    """Top and left, uniform in 0..room [2]; draws may round up to one."""
    xp = draws.__array_namespace__()
    drawn = xp.floor(draws[:, TRIES] * (room + 1))
    return xp.minimum(drawn, room).astype(xp.int32)


def _largest(height, width, ratio):
    """Height and width of the largest box with sides in `ratio`."""
    if width / height < ratio[0]:
        return [max(1, min(height, round(width / ratio[0]))), width]
    if width / height > ratio[1]:
        return [height, max(1, min(width, round(height * ratio[1])))]
    return [height, width]
