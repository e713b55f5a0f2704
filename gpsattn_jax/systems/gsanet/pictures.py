"""Pictures of what a GSA-Net attends to."""

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.systems.image_classifier.page import images_to_show
from gpsattn_jax.systems.image_classifier.run import normalize
from gpsattn_jax.systems.reports import Drawings
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.visualize.attention import attention_figure

WORDS = (
    "What the circled pixel attends to in the first GSA module, the mean over "
    "heads: red weights add a pixel's value, blue ones subtract it. Content "
    "attends anywhere; the column and the row stage see the pixel's own column and "
    "row; position is both together."
)


def draw(run: TrainedRun, images: Images, probabilities: np.ndarray) -> Drawings:
    """The attention maps of the report; none of a network without attention."""
    if "gsa" not in run.config.model.mixers:
        return {}
    return {"Attention": (draw_attention(run, images, probabilities), WORDS)}


def draw_attention(
    run: TrainedRun, images: Images, probabilities: np.ndarray, *, count: int = 4
) -> Figure:
    """Maps of the first GSA module at the brightest pixel of some images.

    Args:
        run: a trained network.
        images: which to draw from.
        probabilities: [n, classes], the network's for these images.
        count: lines of the figure.
    """
    _, pixels, titles = images_to_show(images, probabilities, count)
    maps, places = [], []
    for image in pixels:
        bright = image.sum(-1)
        place = np.unravel_index(bright.argmax(), bright.shape)
        at = tuple(
            (p + 0.5) / side for p, side in zip(place, bright.shape, strict=True)
        )
        (_, found), _ = run.network.apply(
            run.params,
            run.state,
            images=normalize(run.config.data, image[None]),
            attention_at=at,
        )
        maps.append(
            {k: np.asarray(v[0]).mean(0) for k, v in next(iter(found.values())).items()}
        )
        places.append(at)
    return attention_figure(pixels, maps, places, titles)
