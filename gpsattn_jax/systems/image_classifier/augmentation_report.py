"""Contact sheets of what each augmentation does, and of a whole recipe."""

import dataclasses
import functools
import importlib.resources
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.data.images.augment import randaugment
from gpsattn_jax.data.images.augment.recipe import AugmentConfig, augment_batch
from gpsattn_jax.data.images.sources import find_images, read_images
from gpsattn_jax.visualize import figures
from gpsattn_jax.visualize.contact_sheet import contact_sheet

MAGNITUDES = (2.0, 4.0, 6.0, 8.0, 10.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What the sheets show.

    Attributes:
        size: pixels of a side to which pictures are brought first.
        draws: pictures beside each original.
        pictures: rows of the recipe's sheet at most.
        seed: of the draws.
        augment: the recipe.
    """

    size: int = 128
    draws: int = 8
    pictures: int = 8
    seed: int = 0
    augment: AugmentConfig = AugmentConfig(
        crop_scale=(0.25, 1.0),
        flip=True,
        randaugment_ops=2,
        erase=0.25,
        mixup=0.8,
        cutmix=1.0,
    )


def report(
    config: Config, output: str | os.PathLike, images: str | os.PathLike | None = None
) -> list[pathlib.Path]:
    """Writes three sheets: single augmentations, RandAugment's operations, the recipe.

    Args:
        config: what they show.
        output: a PNG; the other two are written beside it, `_randaugment` and
            `_recipe` added to its name.
        images: a folder, a glob pattern or a file; two photographs that come with
            scikit-learn by default.

    Returns:
        The three files.
    """
    files = find_images(images or _photographs())
    pictures = read_images(files[: config.pictures], config.size, 3)
    key = jax.random.key(config.seed)
    first = pathlib.Path(output)
    draws = ["original", *(f"draw {i + 1}" for i in range(config.draws))]
    levels = [f"{sign}{m:g}" for sign in "−+" for m in MAGNITUDES]
    sheets = {
        "": ("Augmentations", single_rows(config, pictures, key), draws),
        "_randaugment": (
            "RandAugment: every operation by sign and magnitude, more being stronger",
            operation_rows(pictures[0]),
            ["original", *levels],
        ),
        "_recipe": (
            f"The recipe: {_setting(config.augment)}",
            recipe_rows(config, pictures, [file.stem for file in files], key),
            draws,
        ),
    }
    return [
        figures.write(
            contact_sheet(rows, columns, title),
            first.with_name(first.stem + suffix + ".png"),
        )
        for suffix, (title, rows, columns) in sheets.items()
    ]


def single_rows(
    config: Config, pictures: np.ndarray, key: jax.Array
) -> list[tuple[str, str, np.ndarray]]:
    """(name, setting, original and draws) of every augmentation alone."""
    pair = np.stack([pictures[0], pictures[-1]])
    copies = np.repeat(pictures[:1], config.draws, 0)
    rows = []
    for name, recipe in _alone(config.size).items():
        if recipe.mixes:  # one share for a batch: a batch for each draw
            keys = jax.random.split(key, config.draws)
            draws = np.stack([_augment(recipe, pair, key)[0] for key in keys])
        else:
            draws = _augment(recipe, copies, key)
        setting = _setting(recipe).replace(" ", "\n")
        rows.append((name, setting, np.concatenate([pictures[:1], draws])))
    return rows


def operation_rows(picture: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """(name, "", original and each sign and magnitude) of RandAugment's operations."""
    count = 2 * len(MAGNITUDES)
    levels = jnp.repeat(jnp.round(255 * picture)[None], count, 0)
    magnitude = jnp.array(2 * MAGNITUDES)
    sign = jnp.repeat(jnp.array([-1.0, 1.0]), len(MAGNITUDES))
    operate = jax.jit(randaugment.operate)
    rows = []
    for place, name in enumerate(randaugment.NAMES):
        changed = operate(levels, jnp.full(count, place), magnitude, sign) / 255
        rows.append((name, "", np.concatenate([picture[None], changed])))
    return rows


def recipe_rows(
    config: Config, pictures: np.ndarray, names: list[str], key: jax.Array
) -> list[tuple[str, str, np.ndarray]]:
    """(name, "", original and draws) of every picture under the whole recipe."""
    keys = jax.random.split(key, config.draws)
    draws = [pictures, *(_augment(config.augment, pictures, key) for key in keys)]
    images = np.stack(draws, axis=1)
    return [(name[:24], "", row) for name, row in zip(names, images, strict=False)]


def _alone(size):
    """Each augmentation by itself, strong enough to be visible."""
    far = size / 8
    shapes = {
        "random resized crop": {"crop_scale": (0.08, 1.0)},
        "pad and crop": {"pad_crop": size // 6},
        "pad and crop, mirrored": {"pad_crop": size // 6, "pad_mode": "reflect"},
        "flip": {"flip": True},
        "rotation": {"degrees": 30.0},
        "zoom": {"zoom": 0.3},
        "shift": {"shift": far},
        "shear": {"shear": 0.3},
    }
    strengths = np.diag([0.6, 0.6, 0.9, 0.3]).tolist()
    kinds = ("brightness", "contrast", "saturation", "hue")
    colors = {
        kind: {"color_jitter": tuple(strength)}
        for kind, strength in zip(kinds, strengths, strict=True)
    } | {"colour jitter": {"color_jitter": (0.4, 0.4, 0.4, 0.1)}}
    others = {
        "RandAugment": {"randaugment_ops": 2, "randaugment_probability": 1.0},
        "random erasing": {"erase": 1.0},
        "random erasing, zero": {"erase": 1.0, "erase_mode": "zero"},
        "random erasing, mean": {"erase": 1.0, "erase_mode": "mean"},
        "mixup": {"mixup": 0.8},
        "cutmix": {"cutmix": 1.0},
        "mixup or cutmix": {"mixup": 0.8, "cutmix": 1.0},
    }
    choices = shapes | colors | others
    return {name: AugmentConfig(**options) for name, options in choices.items()}


def _augment(recipe, images, key):
    label = jnp.zeros(len(images), jnp.int32)
    batch = {"inputs": {"images": images}, "targets": {"label": label}}
    return np.asarray(_compiled(recipe)(batch, key)["inputs"]["images"])


@functools.cache
def _compiled(recipe):
    return jax.jit(functools.partial(augment_batch, recipe, num_classes=1))


def _setting(recipe):
    """The fields that are not at their defaults."""
    plain = AugmentConfig()
    found = []
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if value != getattr(plain, field.name):
            many = isinstance(value, tuple)
            text = ",".join(f"{v:g}" for v in value) if many else value
            found.append(f"{field.name}={text}")
    return " ".join(found)


def _photographs():
    return pathlib.Path(str(importlib.resources.files("sklearn.datasets.images")))
