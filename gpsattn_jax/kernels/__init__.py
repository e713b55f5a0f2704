"""Attention kernels: pure functions of arrays, one head of one example each.

Softmax attention
    attend              query, key and value of one head; bias and mask
    attention_weights   its weights alone
    attend_blocked      long sequences, in memory that grows with the length alone
Attention without a [T, S] matrix
    content_attention   global, linear in the number of positions (GSA-Net)
    content_weights     its weights, for pictures of few queries
    channel_attention   channels attend to channels (GPS-Net)
    channel_weights     its weights
Attention by distance
    relative_attention  along one line, by a table of distances (GSA-Net)
    relative_weights    its weights
    axial_attention     along many lines that share a table
    position_sensitive_attention  softmax along one line, three tables (Axial-DeepLab)
    grid_attention      softmax over a map, a number for each offset (CoAtNet)
    gated_attention     between contents and places, by a gate (ConViT)
    lambda_attention    a linear function for each place (LambdaNetworks)
Positions as a bias on the logits
    POSITION_BIASES     the three below, by name
    absolute_bias       PGL-SUM's sinusoids of rows
    relative_bias       PGL-SUM's sinusoids of distances
    no_bias             zero everywhere
    geodesic_bias       a learned number for each distance on a graph (GPS-Net)
    POSITION_ENCODINGS  other networks', by name: the three below
    rotary_2d           turns queries and keys by their pixel's place
    alibi_bias          a penalty that grows with the distance
    grid_bias           a learned number for each offset on a map (Swin, CoAtNet)
Convolutions
    depthwise_conv      each channel of a map by itself, filters shared or by example
    temporal_conv       each channel of a sequence by itself
    mix_kernels         one kernel out of groups of them (TransXNet)
Maps and sequences
    adaptive_average_pool  a map of any size to a small square one
    resize_bicubic      tables of positions to another size
    split_segments      a sequence cut into equal segments (PGL-SUM)
    join_segments       and joined again
    gelu                exact, by a polynomial

Exceptions to "one head of one example": `axial_attention` sees many lines at once, to
save memory, `depthwise_conv` a whole batch, for its gradients, and `attend_blocked` all
heads, to make their bias once.

What holds for all: integers are computed in float32; an axis of size zero gives an
empty result, zeros (a sum over nothing) or a ValueError; what a mask hides has no
influence, whatever stands there. Batch, heads, rows and columns are `jax.vmap`, written
where they are used. The axes:

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
from gpsattn_jax.kernels.encodings import POSITION_ENCODINGS, alibi_bias, rotary_2d
from gpsattn_jax.kernels.gated import gated_attention
from gpsattn_jax.kernels.gelu import gelu
from gpsattn_jax.kernels.grid import grid_attention, grid_bias
from gpsattn_jax.kernels.lambdas import lambda_attention
from gpsattn_jax.kernels.mixing import mix_kernels
from gpsattn_jax.kernels.pooling import adaptive_average_pool
from gpsattn_jax.kernels.position_sensitive import position_sensitive_attention
from gpsattn_jax.kernels.positions import (
    POSITION_BIASES,
    absolute_bias,
    no_bias,
    relative_bias,
)
from gpsattn_jax.kernels.relative import relative_attention, relative_weights
from gpsattn_jax.kernels.resize import resize_bicubic
from gpsattn_jax.kernels.segments import join_segments, split_segments
from gpsattn_jax.kernels.softmax import attend, attention_weights
from gpsattn_jax.kernels.structure import geodesic_bias
from gpsattn_jax.kernels.temporal import temporal_conv

__all__ = [
    "POSITION_BIASES",
    "POSITION_ENCODINGS",
    "absolute_bias",
    "adaptive_average_pool",
    "alibi_bias",
    "attend",
    "attend_blocked",
    "attention_weights",
    "axial_attention",
    "channel_attention",
    "channel_weights",
    "content_attention",
    "content_weights",
    "depthwise_conv",
    "gated_attention",
    "gelu",
    "geodesic_bias",
    "grid_attention",
    "grid_bias",
    "join_segments",
    "lambda_attention",
    "mix_kernels",
    "no_bias",
    "position_sensitive_attention",
    "relative_attention",
    "relative_bias",
    "relative_weights",
    "resize_bicubic",
    "rotary_2d",
    "split_segments",
    "temporal_conv",
]
