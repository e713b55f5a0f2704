"""EfficientNet-Lite0 as a frame extractor: what it recognises, and frames a second."""

import pathlib
import sys
from collections.abc import Iterator

import jax
import numpy as np

from benchmarks import timing
from gpsattn_jax.convert.efficientnet_lite import load_installed
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.images.class_folders import read_zips
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.videos.frame_preprocessing import preprocess_frames

HEAD = ("what", "figure")
CLASSES = np.array([0, 217, 482, 491, 497, 566, 569, 571, 574, 701])  # of ImageNet's
EACH, BATCH = 50, 25  # pictures of each class, frames of a batch


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """Accuracy on Imagenette's pictures at 128 pixels, then speed."""
    folder = (data_folder() or pathlib.Path()) / "images"
    if (folder / "imagenette_128_val.zip").is_file():
        yield from recognition(folder)
    else:
        print(f"left out: no Imagenette in {folder}", file=sys.stderr)
    yield speed(seconds)


def recognition(folder: pathlib.Path) -> Iterator[tuple[str, ...]]:
    """Top-1 and top-5 among all 1,000 classes, and among the ten that occur."""
    paths = [folder / f"imagenette_128_{part}.zip" for part in ("train", "val")]
    pictures = read_zips(*paths, Crop(size=128, share=1.0))["validation"]
    places = np.concatenate(
        [np.flatnonzero(pictures.labels == label)[:EACH] for label in range(10)]
    )
    batch = pictures.batch(places, None)
    labels = batch["targets"]["label"]
    frames = preprocess_frames(batch["inputs"]["images"])
    network, params, state = load_installed(features_only=False)
    run = jax.jit(lambda x: network.apply(params, state, x)[0])
    parts = [run(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)]
    logits = np.concatenate(parts)
    best = np.argsort(-logits, axis=-1)[:, :5]
    right = CLASSES[labels][:, None] == best
    sample = f"of {len(labels)} pictures of Imagenette, 128 px"
    yield f"top-1 of 1,000 classes, {sample}", f"{100 * right[:, 0].mean():.1f} %"
    yield f"top-5, {sample}", f"{100 * right.any(-1).mean():.1f} %"
    among = (logits[:, CLASSES].argmax(-1) == labels).mean()
    yield f"top-1 among the ten classes, {sample}", f"{100 * among:.1f} %"


def speed(seconds: float) -> tuple[str, ...]:
    """Frames a second, without decoding and scaling."""
    network, params, state = load_installed()
    run = jax.jit(lambda x: network.apply(params, state, x)[0])
    frames = jax.random.normal(jax.random.key(0), (16, 224, 224, 3))
    median = timing.interleaved(
        {"network": lambda: jax.block_until_ready(run(frames))}, seconds=seconds
    )
    return "features of frames, 224 px, batch 16", f"{16e3 / median['network']:.0f} / s"
