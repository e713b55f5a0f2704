"""A user's own pictures through a trained network: the path that evaluation takes."""

import contextlib
import csv
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.data.images import sources
from gpsattn_jax.data.images.files import files_of
from gpsattn_jax.data.images.sets import evaluation_crop
from gpsattn_jax.files import replaced, write_json
from gpsattn_jax.progress import ProgressBar
from gpsattn_jax.systems.image_classifier.run import batch_size, class_logits
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.systems.tables import (
    Predictions,
    check_output,
    class_shares,
    open_csv,
    path_list,
)
from gpsattn_jax.training.sharding import on_every_process

Shares = Sequence[tuple[str, float]]  # class, probability


class Picture(NamedTuple):
    """What came of one file: probabilities [classes], or the problem with it."""

    file: str
    probabilities: np.ndarray | None
    features: np.ndarray | None
    problem: str


def predict(
    run: TrainedRun,
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
    *,
    invert: bool = False,
    count: int = 3,
    skip_bad: bool = False,
    features: str | os.PathLike | None = None,
) -> Predictions:
    """Prints, and writes as they come, the likeliest classes of a user's image files.

    Args:
        run: a trained network.
        paths: folders, glob patterns or files.
        output: optional table: a `.json` of all classes, or a `.csv` of file, class and
            probability `count` times, and problem; rows stay if a later file ends it.
        invert: swap dark and bright first (dark ink on paper, for the digits).
        count: classes that are printed, and stand in a CSV; 0 for all.
        skip_bad: a file that is no readable image gets a row that says so.
        features: optional `.npz`: what the head takes of each picture, [n, channels],
            and the files' names.

    Returns:
        {file: {class: probability}}, the likeliest class first, of the files that could
        be read.

    Raises:
        FileNotFoundError: if there are no images.
        ValueError: names a file that is no readable image; if no file is one.
    """
    names = run.class_names
    count = min(count or len(names), len(names))
    check_output(output)
    files = [
        str(file) for path in path_list(paths) for file in sources.find_images(path)
    ]
    found: Predictions = {}
    kept: list[tuple[str, np.ndarray]] = []
    problems: dict[str, str] = {}
    stream = picture_stream(
        run, files, invert=invert, skip_bad=skip_bad, features=features is not None
    )
    with _rows(output, count) as write:
        for picture in stream:
            if picture.probabilities is None:
                problems[picture.file] = picture.problem
                print(f"Left out: {picture.problem}", file=sys.stderr)
            else:
                shares = class_shares(names, picture.probabilities)
                found[picture.file] = shares
                print(f"{picture.file}: {_line(list(shares.items())[:count])}")
            if picture.features is not None:
                kept.append((picture.file, picture.features))
            write(picture, list(found.get(picture.file, {}).items())[:count])
    if not found:
        raise ValueError(f"None of the {len(files)} files is a readable image.")
    if output is not None:
        if _is_json(output):
            write_json(output, found | {f: {"problem": p} for f, p in problems.items()})
        print(f"Written to {output}.")
    if features is not None:
        _write_features(features, kept)
    return found


def picture_stream(
    run: TrainedRun,
    files: Sequence[str],
    *,
    invert: bool = False,
    skip_bad: bool = False,
    features: bool = False,
) -> Iterator[Picture]:
    """Files through the network, a batch at a time, with progress.

    Args:
        run: a trained network.
        files: image files.
        invert: swap dark and bright first.
        skip_bad: give a problem instead of an error for what is no readable image.
        features: also what the head takes.

    Yields:
        A picture for each file, in order.

    Raises:
        ValueError: names the first file that is no readable image.
    """
    model, data = run.config.model, run.config.data
    crop = evaluation_crop(data, model.image_size, model.in_channels)
    images = files_of(files, crop, run.class_names)
    size = batch_size(len(files), run.placement)
    title = f"Predicting {len(files):,} pictures"
    with ProgressBar(title, len(files)) as bar:
        for start in range(0, len(files), size):
            stop = min(start + size, len(files))
            pixels, problems = _batch(images, start, stop, size)
            if problems and not skip_bad:
                raise ValueError(next(iter(problems.values())))
            found, taken = _outputs(run, 255 - pixels if invert else pixels, features)
            for row in range(stop - start):
                good = row not in problems
                yield Picture(
                    files[start + row],
                    found[row] if good else None,
                    taken[row] if good and taken is not None else None,
                    problems.get(row, ""),
                )
            bar.update(stop)


def _batch(images, start, stop, size):
    """A batch of one shape, filled up with its last picture."""
    pixels, problems = images.readable_batch(np.arange(start, stop))
    filled = np.concatenate([pixels, np.repeat(pixels[-1:], size - len(pixels), 0)])
    return filled, problems


def _outputs(run, pixels, features):
    """Probabilities [B, classes], and features [B, channels] or None."""
    rows = run.placement.rows(len(pixels))
    inputs = run.placement.put({"images": pixels[rows]})
    forward = class_logits(run.network, run.config.data)
    logits = forward(run.params, run.state, inputs)
    found = on_every_process(jax.nn.softmax(logits))
    if not features:
        return found, None
    taken = forward(_identity_head(run.params), run.state, inputs)
    return found, on_every_process(taken)


def _identity_head(params):
    """The same network with a head that passes on what it takes."""
    kernel, bias = (params["head"][name] for name in ("kernel", "bias"))
    width = kernel.shape[0]
    head = {
        "kernel": jnp.eye(width, dtype=kernel.dtype),
        "bias": jnp.zeros(width, bias.dtype),
    }
    return {**params, "head": head}


def _line(shares: Shares) -> str:
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares)


def _is_json(path):
    return pathlib.Path(path).suffix == ".json"


@contextlib.contextmanager
def _rows(
    output: str | os.PathLike | None, count: int
) -> Iterator[Callable[[Picture, Shares], None]]:
    """Writes a row of a CSV for each picture, at once."""
    if output is None or _is_json(output) or jax.process_index():
        yield lambda *_: None
        return
    path = pathlib.Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_csv(path) as file:
        writer = csv.writer(file)
        ranks = range(1, count + 1)
        titles = [f"{kind}_{n}" for n in ranks for kind in ("class", "probability")]
        writer.writerow(["file", *titles, "problem"])

        def write(picture, shares):
            cells = [c for name, p in shares for c in (name, f"{p:.4f}")]
            empty = [""] * (2 * count - len(cells))
            writer.writerow([picture.file, *cells, *empty, picture.problem])
            file.flush()

        yield write


def _write_features(path, kept):
    with replaced(path) as partial, open(partial, "wb") as file:
        np.savez(
            file,
            files=np.array([name for name, _ in kept]),
            features=np.stack([row for _, row in kept]),
        )
    print(f"Features written to {path}.")
