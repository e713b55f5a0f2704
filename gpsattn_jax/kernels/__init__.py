"""Attention kernels: pure functions of arrays, one head of one example each.

`axial_attention` alone sees many lines at once, to save memory.

Batch, heads, rows and columns are `jax.vmap`, written where they are used. The axes:

    T  queries, frames         S  keys                    N  heads
    D  query/key channels      E  value channels          R  rows of a table
    H  rows of an image        W  columns of an image     L  lines: rows or columns
    B  batch                   C  model channels
"""

from gpsattn_jax.kernels.axial import axial_attention
from gpsattn_jax.kernels.content import content_attention, content_weights
from gpsattn_jax.kernels.relative import relative_attention, relative_weights
from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import attend, attention_weights

__all__ = [
    "attend",
    "attention_weights",
    "axial_attention",
    "check_shapes",
    "content_attention",
    "content_weights",
    "relative_attention",
    "relative_weights",
]
