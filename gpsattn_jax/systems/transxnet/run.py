"""TransXNet among the image classifiers: its layers, its tables, its pictures."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.convert.graft import Fit
from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.models import transxnet
from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.transxnet.setups import Config


def _draw(run: TrainedRun, images: Images, probabilities: np.ndarray) -> dict:
    from gpsattn_jax.systems.transxnet import pictures  # needs matplotlib

    return pictures.draw(run, images, probabilities)


def fit_positions(config: transxnet.Config) -> Fit:
    """How a stage's table of positions becomes one for another size of image."""

    def fit(
        path: str, array: np.ndarray, shape: tuple[int, ...]
    ) -> tuple[jax.Array, str] | None:
        grid, wanted = _grid(array.shape), _grid(shape)
        if not path.endswith("/position") or len(array) != shape[0] or grid is None:
            return None
        fitted = transxnet.fit_table(
            jnp.asarray(array), grid, wanted, config.table_resize
        )
        return fitted, "resized"

    return fit


# A downsampling learns with the first block above it, and so does the table of
# positions; at most eight stages, whose stride is 512.
SYSTEM = ImageClassifier(
    name="transxnet",
    title=lambda config: "TransXNet",
    config_class=Config,
    build=transxnet.build,
    layers=(
        "stem/",
        *(
            rf"downsamples/{stage - 1}/|stages/{stage}/(?:position|blocks/(\d+)/)"
            for stage in range(8)
        ),
        "norm/|head/",
    ),
    fit=fit_positions,
    draw=_draw,
)


def _grid(shape):
    """The grid of a table [N, T, S] that belongs to square images; else None."""
    sides = [math.isqrt(size) for size in shape[1:]]
    if len(sides) != 2 or tuple(side**2 for side in sides) != tuple(shape[1:]):
        return None
    return sides[0], sides[0], sides[1], sides[1]
