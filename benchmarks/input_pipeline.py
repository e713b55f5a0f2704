"""Images/s of each part between a file and a training step, and what a step uses.

Parts are timed alone; in a run they go on beside one another and, without an
accelerator, share the processor with the step.
"""

import dataclasses
import functools
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np

from benchmarks import steps
from benchmarks.timing import interleaved
from gpsattn_jax.data.batches import Batches
from gpsattn_jax.data.images import sets as image_sets
from gpsattn_jax.data.images.augment.recipe import AugmentConfig, augment_batch
from gpsattn_jax.data.images.class_folders import read_folder
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decoded_cache import with_decoded_cache
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.data.prefetch import Prefetched
from gpsattn_jax.models import gsanet
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.sharding import place

HEAD = (
    "set",
    "batch",
    "read",
    "read, 2 processes",
    "to the device",
    "crop and flip",
    "modern recipe",
    "a step uses",
    "step",
)
RECIPES = {
    "crop": AugmentConfig(pad_crop=4, flip=True),
    "modern": AugmentConfig(flip=True, randaugment_ops=2, mixup=0.8, cutmix=1.0),
}
WORKERS = 2
CACHED = 2048  # images of the decoded cache that is made for the benchmark
PHOTOGRAPHS = 128  # JPEG files that are made


@dataclasses.dataclass(frozen=True)
class Case:
    """A row.

    Attributes:
        name: what the table calls it.
        batch_size: images of a batch.
        load: an empty folder -> the training images.
        model: a network of that size.
        step_size: images of a training step where there is no accelerator.
    """

    name: str
    batch_size: int
    load: Callable[[pathlib.Path], Images]
    model: gsanet.Config
    step_size: int


def rows(seconds: float):
    """A row for each set that is there: the cells of HEAD."""
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                images = case.load(pathlib.Path(folder))
            except FileNotFoundError as error:
                print(f"No row {case.name}: {error}", file=sys.stderr, flush=True)
                continue
            yield row(case, images, seconds)


def row(case: Case, images: Images, seconds: float) -> tuple[str, ...]:
    """One row: medians, as images a second."""
    rates = part_rates(case, images, seconds)
    workers = "-"
    if isinstance(images, ImageFiles):
        workers = f"{worker_rate(images, case.batch_size, seconds):.0f}"
    size = case.step_size if steps.on_cpu() else case.batch_size
    precision = "float32" if steps.on_cpu() else "bfloat16"
    return (
        case.name,
        str(case.batch_size),
        f"{rates['read']:.0f}",
        workers,
        f"{rates['put']:.0f}",
        f"{rates['crop']:.0f}",
        f"{rates['modern']:.0f}",
        f"{step_rate(case.model, size, precision, seconds):.1f}",
        f"{network_name(case.model)}, batch {size}, {precision}",
    )


def part_rates(case: Case, images: Images, seconds: float) -> dict[str, float]:
    """Images/s of reading in this process, of copying to the device, of augmenting."""
    batches = Batches(images, batch_size=case.batch_size, seed=0)
    placement = place()
    on_host = batches(0)
    on_device = placement.put(on_host)
    key = jax.random.key(0)
    number = iter(range(10**9))
    candidates: dict[str, Callable[[], object]] = {
        "read": lambda: batches(next(number)),
        "put": lambda: jax.block_until_ready(placement.put(on_host)),
    }
    for name, recipe in RECIPES.items():
        augment = jax.jit(
            functools.partial(
                augment_batch, recipe, num_classes=len(images.class_names)
            )
        )

        def run(augment=augment):
            # Every turn draws anew: what is mixed and how decides what it takes.
            jax.block_until_ready(
                augment(on_device, jax.random.fold_in(key, next(number)))
            )

        candidates[name] = run
    times = interleaved(candidates, seconds=seconds)
    return {name: 1e3 * case.batch_size / time for name, time in times.items()}


def worker_rate(images: ImageFiles, batch_size: int, seconds: float) -> float:
    """Images/s that worker processes deliver once they are at work."""
    images = dataclasses.replace(images, threads=1)
    batches = Batches(images, batch_size=batch_size, seed=0)
    depth = 2 * WORKERS
    with Prefetched(batches, workers=WORKERS, depth=depth) as ready:
        for step in range(2 * depth):  # those made ahead while the others started
            ready(step)
        start, step = time.perf_counter(), 2 * depth
        while (elapsed := time.perf_counter() - start) < seconds:
            ready(step)
            step += 1
    return (step - 2 * depth) * batch_size / elapsed


@functools.cache
def step_rate(
    model: gsanet.Config, batch_size: int, precision: str, seconds: float
) -> float:
    """Images/s of a training step on a batch that is on the device."""
    config = TrainConfig(precision=precision)
    batch = place().put(steps.made_up_batch(model, batch_size))
    step = steps.Step(model, config, batch)
    times = interleaved({"step": step.take}, seconds=seconds / 2, least=3)
    return 1e3 * batch_size / times["step"]


def network_name(model: gsanet.Config) -> str:
    """The variant that a network of another image size is."""
    sizes = {name: config.image_size for name, config in gsanet.VARIANTS.items()}
    name = next(
        name
        for name, config in gsanet.VARIANTS.items()
        if dataclasses.replace(model, image_size=sizes[name]) == config
    )
    return f"GSA-ResNet-{name}"


def cifar100(folder: pathlib.Path) -> Images:
    """CIFAR-100 in memory."""
    del folder
    config = DataConfig(name="cifar100", validation_images=5_000)
    return image_sets.load(config, size=32)["train"]


def imagenette(folder: pathlib.Path) -> Images:
    """Imagenette's files, decoded for every batch."""
    del folder
    config = DataConfig(name="imagenette", validation_images=500)
    return image_sets.load(config, size=128, crop_scale=(0.08, 1.0))["train"]


def imagenette_decoded(folder: pathlib.Path) -> Images:
    """Some of them, decoded once and for all."""
    images = imagenette(folder)
    places = np.linspace(0, len(images) - 1, CACHED).astype(int)
    return with_decoded_cache(images.take(places), folder)


def photographs(folder: pathlib.Path) -> Images:
    """JPEG files of 500x375 pixels, cut out of two photographs of scikit-learn's."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    draw = np.random.default_rng(0)
    pictures = [Image.fromarray(image) for image in load_sample_images().images]
    for number in range(PHOTOGRAPHS):
        picture = pictures[number % len(pictures)]
        left = int(draw.integers(picture.width - 500 + 1))
        upper = int(draw.integers(picture.height - 375 + 1))
        path = folder / f"picture{number % len(pictures)}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        part = picture.crop((left, upper, left + 500, upper + 375))
        part.save(path, quality=90)
    return read_folder(folder, Crop(size=224))["train"]


LARGE = gsanet.VARIANTS["50"]
MEDIUM = dataclasses.replace(LARGE, image_size=128)
CASES = (
    Case("CIFAR-100, in memory, 32 px", 128, cifar100, gsanet.VARIANTS["32px"], 16),
    Case("Imagenette, files, 128 px", 64, imagenette, MEDIUM, 8),
    Case("Imagenette, decoded cache, 128 px", 64, imagenette_decoded, MEDIUM, 8),
    Case("JPEG 500x375, 224 px", 32, photographs, LARGE, 4),
)
