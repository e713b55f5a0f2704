"""Asking a network for the class of each pixel: whole pictures, by windows."""

import collections
import functools
from collections.abc import Iterable, Iterator

import numpy as np

from gpsattn_jax.data.segmentation import Masked
from gpsattn_jax.evaluation import segmentation
from gpsattn_jax.progress import with_progress
from gpsattn_jax.systems.image_classifier.run import make_logits
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.segmentation.windows import (
    batch_size,
    default_stride,
    sliding_logits,
)
from gpsattn_jax.training.compiled import compiled_once
from gpsattn_jax.training.processes import in_turn
from gpsattn_jax.training.sharding import on_every_process


def segment(
    run: TrainedRun,
    pictures: Iterable[np.ndarray],
    *,
    window: int | None = None,
    stride: int | None = None,
) -> Iterator[np.ndarray]:
    """Logits of each pixel of pictures of any size, by a window that slides over them.

    Args:
        run: a network with its weights.
        pictures: [H, W, C] uint8 each.
        window: pixels of a side; those that the network is made for if None.
        stride: from window to window; two thirds of one if None.

    Returns:
        [H, W, classes] float32 for each picture, in order.
    """
    window = run.config.model.image_size if window is None else window
    return sliding_logits(
        functools.partial(_ask, run),
        pictures,
        window=window,
        stride=default_stride(window) if stride is None else stride,
        size=batch_size(window, run.placement.mesh.shape["data"]),
    )


def count_pixels(
    run: TrainedRun,
    masked: Masked,
    *,
    window: int | None = None,
    stride: int | None = None,
    title: str = "",
) -> np.ndarray:
    """Pixels by (label, predicted class), added up over a set.

    Args:
        run: a network with its weights.
        masked: the set.
        window: see `segment`.
        stride: likewise.
        title: of a display of progress; none if empty.

    Returns:
        int64 [classes, classes].
    """
    classes = run.config.model.num_classes
    masks: collections.deque[np.ndarray] = collections.deque()  # of pictures at work

    def pictures():
        for place in range(len(masked)):
            picture, mask = masked.whole(place)
            masks.append(mask)
            yield picture

    found = segment(run, pictures(), window=window, stride=stride)
    if title:
        found = with_progress(found, len(masked), title)
    total = np.zeros((classes, classes), np.int64)
    for logits in found:
        predicted = logits.argmax(-1)
        total += segmentation.pixel_counts(predicted, masks.popleft(), classes)
    return total


def scores(counts: np.ndarray) -> dict[str, float]:
    """Mean IoU and pixel accuracy of counts [classes, classes]."""
    return {
        "mean_iou": segmentation.mean_iou(counts),
        "accuracy": segmentation.pixel_accuracy(counts),
    }


@functools.cache
def _forward(network, data):
    return compiled_once(make_logits(network, data))


def _ask(run, images):
    """[size, S, S, C] uint8 -> logits [size, S, S, classes], whole on each process."""
    forward = run.placement.on_mesh(_forward(run.network, run.config.data))
    rows = run.placement.rows(len(images))
    inputs = run.placement.put({"images": images[rows]})
    return on_every_process(in_turn(forward(run.params, run.state, inputs)))
