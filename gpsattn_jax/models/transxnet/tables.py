"""Tables of positions for images of another size."""

import jax

from gpsattn_jax.kernels import resize_bicubic
from gpsattn_jax.models.transxnet.config import Config


def resize_tables(
    config: Config, params: dict, height: int, width: int | None = None
) -> dict:
    """Position tables for another size of image, so that no call resizes them.

    Args:
        config: what `params` belong to.
        params: as from `init`.
        height: of the images, in pixels.
        width: likewise; the height if None.

    Returns:
        Parameters for images of that size; for square ones they also are those of
        `dataclasses.replace(config, image_size=height)`.
    """
    side, width = config.image_size, height if width is None else width
    grids = zip(config.grids(side, side), config.grids(height, width), strict=True)
    stages = {
        place: stage
        | {"position": fit_table(stage["position"], *grid, config.table_resize)}
        for (place, stage), grid in zip(
            sorted(params["stages"].items()), grids, strict=True
        )
    }
    return params | {"stages": stages}


def fit_table(
    table: jax.Array,
    grid: tuple[int, int, int, int],
    new_grid: tuple[int, int, int, int],
    how: str,
) -> jax.Array:
    """A table of positions [N, T, S] for a map of another size.

    Args:
        table: for `grid`, or already for `new_grid`.
        grid: rows, columns, reduced rows and columns that it was made for.
        new_grid: those of the map.
        how: "flat" or "grid", see `Config.table_resize`.
    """
    shape = (new_grid[0] * new_grid[1], new_grid[2] * new_grid[3])
    if table.shape[1:] == shape:
        return table
    if how == "flat":
        return resize_bicubic(table, (len(table), *shape))
    planes = table.reshape(len(table), *grid)
    return resize_bicubic(planes, (len(table), *new_grid)).reshape(-1, *shape)
