"""Augmentations of images: pure functions of (images, key), and their recipe.

* `AugmentConfig`, `augment_batch`: a whole recipe; `left_for_device` what of it is left
  where a set crops while it decodes.
* `random_resized_crop`, `random_erase`: boxes. `flip`, `pad_and_crop`,
  `random_affine`: places. `color_jitter`: colours. `mix`: mixup and cutmix.
* `rand_augment`: RandAugment.
"""

from gpsattn_jax.data.images.augment.boxes import random_erase, random_resized_crop
from gpsattn_jax.data.images.augment.color import color_jitter
from gpsattn_jax.data.images.augment.geometry import flip, pad_and_crop, random_affine
from gpsattn_jax.data.images.augment.mixing import mix
from gpsattn_jax.data.images.augment.randaugment import rand_augment
from gpsattn_jax.data.images.augment.recipe import (
    AugmentConfig,
    augment_batch,
    left_for_device,
)

__all__ = [
    "AugmentConfig", "augment_batch", "color_jitter", "flip", "left_for_device", "mix",
    "pad_and_crop", "rand_augment", "random_affine", "random_erase",
    "random_resized_crop",
]  # fmt: skip
