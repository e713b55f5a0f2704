"""The report of a TransXNet run: what every classifier has, and views inside."""

import os
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.models.transxnet.views import Views, viewer
from gpsattn_jax.systems import transxnet
from gpsattn_jax.systems.image_classifier import report as image_classifier_report
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier.report import Drawings, telling_images
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


def report(
    workdir: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    choose: str = "latest",
    *,
    averaged: bool = False,
    data_dir: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Writes pictures, `scores.json` and `index.html`; returns the page's path.

    Args:
        workdir: of a trained run.
        folder: where to; `report/` in the workdir by default.
        choose: "latest" checkpoint, or the "best" on the validation images.
        averaged: take the moving averages of the weights.
        data_dir: the folder of data sets.
    """
    classifier = transxnet.restore(workdir, choose, averaged=averaged)
    config = classifier.config
    return image_classifier_report.report(
        classifier,
        workdir,
        folder,
        transxnet.network_name(config),
        f"TransXNet on {config.data.name}",
        draw,
        data_dir=data_dir,
    )


def draw(
    classifier: transxnet.Classifier,
    images: Images,
    probabilities: np.ndarray,
    *,
    count: int = 4,
) -> Drawings:
    """Dynamic kernels, attention and evidence for some images, half of them mistakes.

    Args:
        classifier: a trained network.
        images: which to draw from, at least two.
        probabilities: [n, classes], the network's for these images.
        count: lines of the figures of attention and evidence.
    """
    places, pixels, titles = telling_images(images, probabilities, count)
    views = look(classifier, pixels)
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


def look(classifier: transxnet.Classifier, pixels: np.ndarray) -> Views:
    """What the network does with images [n, H, W, C] in 0..1, as NumPy arrays."""
    images = image_classifier.normalize(classifier.config.data, jnp.asarray(pixels))
    views = viewer(classifier.config.model)(classifier.params, classifier.state, images)
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
