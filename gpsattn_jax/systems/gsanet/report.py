"""The report of a GSA-Net run: curves, mistakes, attention maps, one HTML page."""

import dataclasses
import json
import os
import pathlib

import numpy as np
from matplotlib.figure import Figure

from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.evaluation import classification
from gpsattn_jax.systems import gsanet
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier.tables import baselines
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.visualize import figures, page
from gpsattn_jax.visualize.attention import attention_figure
from gpsattn_jax.visualize.confusion import confusion_figure
from gpsattn_jax.visualize.curves import learning_curves


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
    workdir = pathlib.Path(workdir)
    folder = workdir / "report" if folder is None else pathlib.Path(folder)
    classifier = gsanet.restore(workdir, choose, averaged=averaged)
    config = classifier.config
    test = image_classifier.load_sets(config, data_dir)["test"]
    probabilities = classifier.probabilities(test)
    measured = image_classifier.scores(probabilities, test.labels)
    rows = baselines(config, data_dir) | {
        gsanet.network_name(config): measured["accuracy"]
    }
    counts = classification.confusion_matrix(
        probabilities.argmax(-1), test.labels, len(test.class_names)
    )
    drawings = {
        "learning": learning_curves(read_metrics(workdir), ("loss", "accuracy")),
        "mistakes": confusion_figure(counts, test.class_names),
    }
    if "gsa" in config.model.mixers:
        drawings["attention"] = draw_attention(classifier, test, probabilities)
    for name, figure in drawings.items():
        figures.write(figure, folder / f"{name}.png")
    scores = {"step": classifier.step, "test_images": len(test), "accuracy": rows}
    (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    title = f"GSA-Net on {config.data.name}"
    settings = json.dumps(dataclasses.asdict(config), indent=2)
    written = page.write_page(
        folder / "index.html",
        title,
        [
            ("Accuracy", _accuracies(rows, len(test), classifier.step)),
            *(
                (name.capitalize(), page.picture(folder / f"{name}.png", words))
                for name, words in WORDS.items()
                if name in drawings
            ),
            ("Settings", f"<pre>{settings}</pre>"),
        ],
    )
    print(f"\nReport: {written}")
    return written


WORDS = {
    "learning": "Loss and accuracy by step; the training loss has smoothed labels.",
    "mistakes": "Test images by label and prediction.",
    "attention": (
        "What the circled pixel attends to in the first GSA module, the mean over "
        "heads: red weights add a pixel's value, blue ones subtract it. Content "
        "attends anywhere; the column and the row stage see the pixel's own column and "
        "row; position is both together."
    ),
}


def draw_attention(
    classifier: gsanet.Classifier,
    images: Images,
    probabilities: np.ndarray,
    *,
    count: int = 4,
) -> Figure:
    """Maps of the first GSA module at the brightest pixel of images, mistakes first.

    Args:
        classifier: a trained network.
        images: which to draw from.
        probabilities: [n, classes], the network's for these images.
        count: lines of the figure, each with another predicted class.
    """
    predicted = probabilities.argmax(-1)
    # Shuffled, since a set may come sorted by class.
    order = np.random.default_rng(0).permutation(len(images))
    order = order[np.argsort((predicted == images.labels)[order], kind="stable")]
    # One image of each predicted class at the most, so that the lines differ.
    _, first = np.unique(predicted[order], return_index=True)
    chosen = order[np.sort(first)][:count]
    maps, places = [], []
    pixels = images.batch(chosen, None)["inputs"]["images"]
    pixels = pixels / 255 if pixels.dtype == np.uint8 else pixels
    for image in pixels:
        bright = image.sum(-1)
        place = np.unravel_index(bright.argmax(), bright.shape)
        at = tuple(
            (p + 0.5) / side for p, side in zip(place, bright.shape, strict=True)
        )
        (_, found), _ = classifier.network.apply(
            classifier.params,
            classifier.state,
            images=image_classifier.normalize(classifier.config.data, image[None]),
            attention_at=at,
        )
        maps.append(
            {k: np.asarray(v[0]).mean(0) for k, v in next(iter(found.values())).items()}
        )
        places.append(at)
    names = images.class_names
    titles = [
        f"{names[images.labels[i]]}, seen as {names[predicted[i]]}" for i in chosen
    ]
    return attention_figure(pixels, maps, places, titles)


def _accuracies(rows, count, step):
    ordered = sorted(rows.items(), key=lambda row: row[1])
    cells = [(name, f"{100 * accuracy:.2f} %") for name, accuracy in ordered]
    note = (
        f"<p>{count} test images, used for nothing else; checkpoint of step {step}.</p>"
    )
    return note + page.table([("classifier", "test accuracy"), *cells])
