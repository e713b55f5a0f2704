"""Clips of joints: read from every format, joined, augmented, and made into batches.

Files are read by `read_clip`, `read_clips` and `read_folder`, the sets of a run by
`load_parts`; a `Layout` says which joints are joined, a `Reading` what axes and
channels an array has.
"""

from gpsattn_jax.data.skeletons.clip_folder import read_clip, read_clips, read_folder
from gpsattn_jax.data.skeletons.clip_set import ClipSet
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.layouts import LAYOUTS, load_layout
from gpsattn_jax.data.skeletons.load import DataConfig, load_parts, num_splits
from gpsattn_jax.data.skeletons.ntu import ntu_npz
from gpsattn_jax.data.skeletons.pyskl import read_annotations
from gpsattn_jax.data.skeletons.reading import Reading
from gpsattn_jax.data.skeletons.recipe import AugmentConfig, augment_clips
from gpsattn_jax.data.skeletons.stgcn import read_stgcn

__all__ = [
    "LAYOUTS",
    "AugmentConfig",
    "ClipSet",
    "Clips",
    "DataConfig",
    "Layout",
    "Reading",
    "augment_clips",
    "load_layout",
    "load_parts",
    "ntu_npz",
    "num_splits",
    "read_annotations",
    "read_clip",
    "read_clips",
    "read_folder",
    "read_stgcn",
]
