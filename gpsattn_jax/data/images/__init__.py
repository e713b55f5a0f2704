"""Images: sets by name, folders, files; decoded, cropped, cached.

* `DataConfig`, `load`: a set by name; `LabelledSets` are its parts.
* `load_labelled`, `read_folder`, `read_zips`, `read_tfds`: other labelled images.
* `find_images`, `read_images`: a user's own files.
* `Images`, `ImageSet`, `ImageFiles`: labelled images, in memory or as files.
* `Crop`, `evaluation_crop`: from a file to pixels of one size; `decode.decode` to all.
* `with_decoded_cache`, `without_bad`: pixels kept on disk; bad files left out.
"""

from gpsattn_jax.data.images.bad_files import without_bad
from gpsattn_jax.data.images.class_folders import read_folder, read_zips
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decoded_cache import with_decoded_cache
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.data.images.labelled_sets import LabelledSets
from gpsattn_jax.data.images.sets import (
    DataConfig,
    evaluation_crop,
    load,
    load_labelled,
)
from gpsattn_jax.data.images.sources import Images, ImageSet, find_images, read_images
from gpsattn_jax.data.images.tfds import read_tfds

__all__ = [
    "Crop", "DataConfig", "ImageFiles", "ImageSet", "Images", "LabelledSets",
    "evaluation_crop", "find_images", "load", "load_labelled", "read_folder",
    "read_images", "read_tfds", "read_zips", "with_decoded_cache", "without_bad",
]  # fmt: skip
