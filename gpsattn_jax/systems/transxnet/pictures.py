"""Pictures of what a TransXNet makes of images: kernels, attention, evidence."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.models.transxnet.views import Views, viewer
from gpsattn_jax.systems.image_classifier.page import images_to_show
from gpsattn_jax.systems.image_classifier.run import normalize
from gpsattn_jax.systems.reports import Drawings
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.visualize.dynamic_kernels import kernels_figure
from gpsattn_jax.visualize.overlays import overlay_figure

WORDS = {
    "Dynamic kernels": (
        "What the dynamic convolution of each stage's last block makes of two images: "
        "the effective kernels of the channels that change the most between them. Red "
        "is above zero, blue below; a channel's two kernels share a scale, and so do a "
        "stage's differences, which are small beside the kernels."
    ),
    "Attention": (
        "What the circled place, the one that speaks most for the predicted class, "
        "attends to in the last block of each stage: the mean over heads, on the "
        "spatially reduced map. Red is more than an even share of the attention, blue "
        "less; twice the share has full colour, or what is largest beyond that."
    ),
    "Evidence": (
        "Where the image speaks for a class (red) or against it (blue), compared with "
        "the mean of all classes: the head is linear after its norm, so the mean of "
        "such a map is the class's logit but for that mean. On the left the predicted "
        "class, beside it the label, or where that is the same the second class."
    ),
}


def draw(
    run: TrainedRun,
    images: Images,
    probabilities: np.ndarray,
    *,
    count: int = 4,
) -> Drawings:
    """Dynamic kernels, attention and evidence for some images, half of them mistakes.

    Args:
        run: a trained network.
        images: which to draw from, at least two.
        probabilities: [n, classes], the network's for these images.
        count: lines of the figures of attention and evidence.
    """
    places, pixels, titles = images_to_show(images, probabilities, count)
    views = look(run, pixels)
    shares, labels = probabilities[places], images.labels[places]
    pair = pixels[[0, -1]]
    kernels = [stage[[0, -1]] for stage in views.kernels]
    drawings = {
        "Dynamic kernels": kernels_figure(pair, kernels),
        "Attention": draw_attention(pixels, views, titles),
        "Evidence": draw_evidence(
            pixels, views, titles, shares, labels, images.class_names
        ),
    }
    return {name: (figure, WORDS[name]) for name, figure in drawings.items()}


def look(run: TrainedRun, pixels: np.ndarray) -> Views:
    """What the network does with images [n, H, W, C] in 0..1, as NumPy arrays."""
    images = normalize(run.config.data, jnp.asarray(pixels))
    views = viewer(run.config.model)(run.params, run.state, images)
    return jax.tree.map(np.asarray, views)


def draw_attention(pixels: np.ndarray, views: Views, titles: Sequence[str]) -> Figure:
    """What each image's most telling place attends to, stage by stage."""
    best = views.logits.argmax(-1)
    maps, places = [], []
    for image, winner in enumerate(best):
        evidence = views.evidence[image, ..., winner]
        row, column = np.unravel_index(evidence.argmax(), evidence.shape)
        at = (row + 0.5) / evidence.shape[0], (column + 0.5) / evidence.shape[1]
        maps.append(
            [
                (f"stage {stage + 1}", _pixel(weights[image].mean(0), at))
                for stage, weights in enumerate(views.attention)
            ]
        )
        places.append(at)
    return overlay_figure(pixels, maps, titles, at=places, least=1.0)


def draw_evidence(
    pixels: np.ndarray,
    views: Views,
    titles: Sequence[str],
    probabilities: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> Figure:
    """Evidence for the predicted class, and for the label or the second class."""
    lines = []
    for image, shares in enumerate(probabilities):
        found = views.evidence[image]
        relative = found - found.mean(-1, keepdims=True)
        order = np.argsort(-shares, kind="stable")
        other = order[1] if order[0] == labels[image] else labels[image]
        lines.append(
            [
                (f"{class_names[n]}, {100 * shares[n]:.0f} %", relative[..., n])
                for n in (order[0], other)
            ]
        )
    return overlay_figure(pixels, lines, titles, smooth=True)


def _pixel(weights, at):
    """What a pixel's weights are above an even share, for a place in shares.

    Args:
        weights: [H, W, h, w].
        at: of the map's height and width.
    """
    row, column = (
        int(share * side) for share, side in zip(at, weights.shape[:2], strict=True)
    )
    return weights[row, column] * weights[row, column].size - 1
