"""A user's own pictures through a segmenter: a mask and an overlay for each."""

import collections
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np

from gpsattn_jax.data.images.decode import decode
from gpsattn_jax.data.images.sources import find_images
from gpsattn_jax.files import replaced
from gpsattn_jax.progress import with_progress
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.segmentation.pixels import segment
from gpsattn_jax.systems.tables import path_list
from gpsattn_jax.visualize.palette import class_colors, over

MASKS, OVERLAYS = "masks", "overlays"


def predict(
    run: TrainedRun,
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
    *,
    window: int | None = None,
    stride: int | None = None,
) -> dict[str, dict[str, float]]:
    """Prints each picture's classes by area; writes masks and overlays if asked to.

    Args:
        run: a trained network.
        paths: folders, glob patterns or files.
        output: optional folder: `masks/NAME.png` of class numbers with a palette, and
            `overlays/NAME.png`; a folder's pictures keep their places in it.
        window: see `pixels.segment`.
        stride: likewise.

    Returns:
        {file: {class: share of the pixels}}, the largest first, without classes that
        are not there.

    Raises:
        FileNotFoundError: if there are no pictures.
        ValueError: names a file that is no readable image; or two of one name.
    """
    files = list(_files(path_list(paths)))
    _check_names(files)
    colors, found = class_colors(), {}
    channels = run.config.model.in_channels
    at_work: collections.deque[np.ndarray] = collections.deque()

    def pictures():
        for file, _ in files:
            at_work.append(decode(file, channels))
            yield at_work[-1]

    logits = segment(run, pictures(), window=window, stride=stride)
    logits = with_progress(logits, len(files), "Segmenting pictures")
    for (file, name), each in zip(files, logits, strict=True):
        picture, mask = at_work.popleft(), each.argmax(-1).astype(np.uint8)
        found[str(file)] = shares = _shares(mask, run.class_names)
        print(f"{file}: {_line(shares)}")
        if output is not None and jax.process_index() == 0:
            _write(pathlib.Path(output), name, picture, mask, colors)
    if output is not None:
        print(f"Masks and overlays are in {output}.")
    return found


def _files(paths: Iterable[pathlib.Path]) -> Iterator[tuple[pathlib.Path, str]]:
    """(file, its place in what is written, with the suffix .png)."""
    for path in paths:
        for file in find_images(path):
            name = file.relative_to(path) if path.is_dir() else pathlib.Path(file.name)
            yield file, str(name.with_suffix(".png"))


def _check_names(files):
    places: dict[str, pathlib.Path] = {}
    for file, name in files:
        if name in places:
            raise ValueError(
                f"{places[name]} and {file} would both be written as {name}; "
                "predict them one after the other, into two folders."
            )
        places[name] = file


def _shares(mask, class_names):
    counts = np.bincount(mask.ravel(), minlength=len(class_names))
    order = np.argsort(-counts, kind="stable")
    return {class_names[n]: counts[n] / mask.size for n in order if counts[n]}


def _line(shares, most=5):
    parts = [f"{name} {100 * share:.1f} %" for name, share in shares.items()]
    return ", ".join(parts[:most]) + ", …" * (len(parts) > most)


def _write(output, name, picture, mask, colors):
    """The mask with its palette, and the picture under it."""
    from PIL import Image

    indexed = Image.fromarray(mask)
    indexed.putpalette(colors.tobytes())
    overlay = Image.fromarray(over(picture, mask, colors))
    for folder, image in ((MASKS, indexed), (OVERLAYS, overlay)):
        with replaced(output / folder / name) as partial:
            image.save(partial, "PNG")
