"""Pictures with masks, which say the class of each pixel.

* `DataConfig`, `load`: a set by name, its parts "train", "validation" and "test".
* `textured_digits`: scenes made from seeds, of digits that come with scikit-learn.
* `read_folder`: a user's own pictures and PNG masks; `read_mask`: one mask.
* `Masked`, `MaskedFiles`: pictures with masks, made, or as files.
* `AugmentConfig`, `augment_batch`: what training does to both.
"""

from gpsattn_jax.data.segmentation.augment import AugmentConfig, augment_batch
from gpsattn_jax.data.segmentation.files import MaskedFiles, read_mask
from gpsattn_jax.data.segmentation.folders import read_folder
from gpsattn_jax.data.segmentation.sets import DataConfig, load
from gpsattn_jax.data.segmentation.sources import IGNORE, Masked
from gpsattn_jax.data.segmentation.textured_digits import textured_digits

__all__ = [
    "IGNORE", "AugmentConfig", "DataConfig", "Masked", "MaskedFiles",
    "augment_batch", "load", "read_folder", "read_mask", "textured_digits",
]  # fmt: skip
