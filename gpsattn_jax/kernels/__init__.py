"""Attention kernels: pure functions of arrays, one head of one example each.

Batch, heads, rows and columns are `jax.vmap`, written where they are used. The axes:

    T  queries, frames         S  keys                    N  heads
    D  query/key channels      E  value channels          R  rows of a table
    H  rows of an image        W  columns of an image     B  batch
"""

from gpsattn_jax.kernels.content import content_attention, content_weights
from gpsattn_jax.kernels.relative import relative_attention, relative_weights
from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import attend, attention_weights

__all__ = [
    "attend",
    "attention_weights",
    "check_shapes",
    "content_attention",
    "content_weights",
    "relative_attention",
    "relative_weights",
]
