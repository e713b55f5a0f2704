"""Attention kernels: pure functions of arrays, one head of one example each.

Exceptions: `axial_attention` sees many lines at once, to save memory, `depthwise_conv`
a whole batch, for its gradients, and `attend_blocked` all heads, to make their bias
once.

Batch, heads, rows and columns are `jax.vmap`, written where they are used. The axes:

    T  queries, frames         S  keys                    N  heads
    D  query/key channels      E  value channels          R  rows of a table
    H  rows of an image        W  columns of an image     L  lines: rows or columns
    B  batch                   C  model channels          K  size of a convolution
    G  groups of kernels       M  segments, persons       V  joints
"""

from gpsattn_jax.kernels.axial import axial_attention
from gpsattn_jax.kernels.blocked import attend_blocked
from gpsattn_jax.kernels.channel import channel_attention, channel_weights
from gpsattn_jax.kernels.content import content_attention, content_weights
from gpsattn_jax.kernels.depthwise import depthwise_conv
from gpsattn_jax.kernels.gelu import gelu
from gpsattn_jax.kernels.mixing import mix_kernels
from gpsattn_jax.kernels.pooling import adaptive_average_pool
from gpsattn_jax.kernels.positions import (
    POSITION_BIASES,
    absolute_bias,
    no_bias,
    relative_bias,
)
from gpsattn_jax.kernels.relative import relative_attention, relative_weights
from gpsattn_jax.kernels.resize import resize_bicubic
from gpsattn_jax.kernels.segments import (
    join_segments,
    segment_lengths,
    split_segments,
)
from gpsattn_jax.kernels.shapes import check_shapes
from gpsattn_jax.kernels.softmax import attend, attention_weights
from gpsattn_jax.kernels.structure import (
    bone_parents,
    geodesic_bias,
    geodesic_distances,
    shells,
    voronoi_parts,
)
from gpsattn_jax.kernels.temporal import temporal_conv

__all__ = [
    "POSITION_BIASES",
    "absolute_bias",
    "adaptive_average_pool",
    "attend",
    "attend_blocked",
    "attention_weights",
    "axial_attention",
    "bone_parents",
    "channel_attention",
    "channel_weights",
    "check_shapes",
    "content_attention",
    "content_weights",
    "depthwise_conv",
    "gelu",
    "geodesic_bias",
    "geodesic_distances",
    "join_segments",
    "mix_kernels",
    "no_bias",
    "relative_attention",
    "relative_bias",
    "relative_weights",
    "resize_bicubic",
    "segment_lengths",
    "shells",
    "split_segments",
    "temporal_conv",
    "voronoi_parts",
]
