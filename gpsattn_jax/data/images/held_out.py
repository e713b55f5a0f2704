"""A part of a set, held out of another evenly of all classes."""

import numpy as np

from gpsattn_jax.data.images.sources import Images


def split_evenly(images: Images, count: int, field: str) -> tuple[Images, Images]:
    """Two parts, drawn once with seed 0.

    Args:
        images: to be parted.
        count: of the second part, evenly of all classes.
        field: of the config, for messages.

    Raises:
        ValueError: names the field and what it may be, or the class that is too small.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < count < len(images):
        raise ValueError(
            f"data.{field} must be from 1 to fewer than the {len(images)} images they "
            f"are taken from; got {count}."
        )
    counts = np.bincount(images.labels, minlength=len(images.class_names))
    small = [name for name, n in zip(images.class_names, counts, strict=True) if n == 1]
    if small:
        raise ValueError(
            f"class {small[0]} has 1 picture left to train on; to hold "
            f"out some of every class (data.{field}), each needs 2 at every split: 3 "
            "where both test and validation are taken from train. Add pictures, bring "
            "a val or test folder, or leave the class out."
        )
    classes = int((counts > 0).sum())
    if min(count, len(images) - count) < classes:
        raise ValueError(
            f"data.{field} must be from {classes} to {len(images) - classes}, so that "
            f"each of the {classes} classes has a picture in both parts; got {count}."
        )
    places = train_test_split(
        np.arange(len(images)),
        test_size=count,
        stratify=images.labels,
        random_state=0,
    )
    rest, taken = (images.take(np.sort(part)) for part in places)
    return rest, taken
