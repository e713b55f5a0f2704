"""The report of an image classifier's run: scores, curves, mistakes, pictures."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.evaluation import classification
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier.run import Classifier
from gpsattn_jax.systems.image_classifier.tables import baselines
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.visualize import figures, page
from gpsattn_jax.visualize.confusion import confusion_figure
from gpsattn_jax.visualize.curves import learning_curves

Drawings = dict[str, tuple[Figure, str]]  # by heading: a picture, and what it shows


def report(
    classifier: Classifier,
    workdir: str | os.PathLike,
    folder: str | os.PathLike | None,
    name: str,
    title: str,
    draw: Callable[[Classifier, Images, np.ndarray], Drawings],
    *,
    data_dir: str | os.PathLike | None = None,
) -> pathlib.Path:
    """Writes pictures, `scores.json` and `index.html`; returns the page's path.

    Args:
        classifier: of a trained run.
        workdir: of that run, for its log.
        folder: where to; `report/` in the workdir if None.
        name: what tables call the network.
        title: of the page.
        draw: (classifier, test images, probabilities) -> the system's own pictures.
        data_dir: the folder of data sets.
    """
    workdir = pathlib.Path(workdir)
    folder = workdir / "report" if folder is None else pathlib.Path(folder)
    test = image_classifier.load_sets(classifier.config, data_dir)["test"]
    probabilities = classifier.probabilities(test)
    measured = image_classifier.scores(probabilities, test.labels)
    rows = baselines(classifier.config, data_dir) | {name: measured["accuracy"]}
    drawings = _common(workdir, test, probabilities)
    drawings |= draw(classifier, test, probabilities)
    parts = [("Accuracy", _accuracies(rows, len(test), classifier.step))]
    for heading, (figure, words) in drawings.items():
        file = f"{heading.lower().replace(' ', '_')}.png"
        path = figures.write(figure, folder / file)
        parts.append((heading, page.picture(path, words)))
    settings = json.dumps(dataclasses.asdict(classifier.config), indent=2)
    parts.append(("Settings", f"<pre>{settings}</pre>"))
    scores = {"step": classifier.step, "test_images": len(test), "accuracy": rows}
    (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    written = page.write_page(folder / "index.html", title, parts)
    print(f"\nReport: {written}")
    return written


def telling_images(
    images: Images, probabilities: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Some images to look at: half of them mistakes, if there are so many, and first.

    Both halves are of different predicted classes, as far as it goes.

    Args:
        images: n to choose from.
        probabilities: [n, classes], the network's for them.
        count: how many.

    Returns:
        (places [count], pixels [count, H, W, C] in 0..1, what each is and is seen as).
    """
    predicted = probabilities.argmax(-1)
    # Shuffled, since a set may come sorted by class.
    order = np.random.default_rng(0).permutation(len(images))
    right = (predicted == images.labels)[order]
    wrong, right = (_by_class(order[part], predicted) for part in (~right, right))
    enough = max(count // 2, count - len(right))
    chosen = np.concatenate([wrong[:enough], right])[:count]
    pixels = images.batch(chosen, None)["inputs"]["images"]
    pixels = pixels / 255 if pixels.dtype == np.uint8 else pixels
    names = images.class_names
    titles = []
    for label, found in zip(images.labels[chosen], predicted[chosen], strict=True):
        seen = "recognised" if found == label else f"seen as {names[found]}"
        titles.append(f"{names[label]}\n{seen}")
    return chosen, pixels, titles


def _by_class(places, predicted):
    """The first place of each predicted class in front, the rest behind."""
    _, first = np.unique(predicted[places], return_index=True)
    first = np.sort(first)
    return np.concatenate([places[first], np.delete(places, first)])


def _common(workdir, test, probabilities):
    """The pictures of every classifier."""
    counts = classification.confusion_matrix(
        probabilities.argmax(-1), test.labels, len(test.class_names)
    )
    return {
        "Learning": (
            learning_curves(read_metrics(workdir), ("loss", "accuracy")),
            "Loss and accuracy by step; the training loss has smoothed labels.",
        ),
        "Mistakes": (
            confusion_figure(counts, test.class_names),
            "Test images by label and prediction.",
        ),
    }


def _accuracies(rows, count, step):
    ordered = sorted(rows.items(), key=lambda row: row[1])
    cells = [(name, f"{100 * accuracy:.2f} %") for name, accuracy in ordered]
    note = (
        f"<p>{count} test images, used for nothing else; checkpoint of step {step}.</p>"
    )
    return note + page.table([("classifier", "test accuracy"), *cells])
