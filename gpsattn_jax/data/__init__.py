"""Data: files -> batches of NumPy arrays.

* `Arrays`, `Source`: examples by place, in memory or read when they are asked for.
* `Batches`, `in_order`: batches for training, by step, and for evaluation.
* `Prefetched`: batches made ahead, in a thread or in processes.
* `data_folder`: where the sets are.

The kinds of data have rooms of their own: `images`, `skeletons`, `videos`; `files`
reads arrays of any kind.
"""

from gpsattn_jax.data.batches import Arrays, Batch, Batches, Source, in_order
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.prefetch import Prefetched

__all__ = [
    "Arrays",
    "Batch",
    "Batches",
    "Prefetched",
    "Source",
    "data_folder",
    "in_order",
]
