"""Flax NNX modules: they own parameters and call a kernel.

Attention:
    MultiHeadAttention     around any kernel of (query, key, value)
    GlobalSelfAttention    content and axial branches over an image (GSA-Net)
    PositionalAttention    positions in the logits, whole or in segments (PGL-SUM)
    ReducedAttention       every pixel to a coarser map (TransXNet)
    SpatialAttention       joints to joints within a frame (GPS-Net)
    ChannelAttention       channels to channels over a clip (GPS-Net)
    AxialAttention         along columns, then rows (Axial-DeepLab)
    GatedAttention         from places to contents by a gate (ConViT)
    GridAttention          a learned number for each offset (CoAtNet)
    LambdaLayer            a linear function for each place (LambdaNetworks)
    attention_maps         what one pixel of a GSA module attends to
    MIXERS                 by name, what may replace a spatial convolution
Convolutions and the rest
    DynamicConv            a kernel of its own for each example
    DualMixer              half the channels attend, half are convolved
    TemporalConv           depthwise separable, along time
    MultiScaleFeedForward  a feed-forward net that looks around each pixel
    JointEmbedding         joint sequences to channels
    BatchNorm              with PyTorch's running variance
    Functional             a network as two pure functions of plain dicts

Every module is called `module(arrays…, train=…, rngs=…)`, needed or not, so that one
module serves training and evaluation and no random state hides inside it.
"""

from gpsattn_jax.modules.attention import MultiHeadAttention
from gpsattn_jax.modules.attention_maps import attention_maps
from gpsattn_jax.modules.axial_attention import AxialAttention
from gpsattn_jax.modules.dual_mixer import DualMixer
from gpsattn_jax.modules.dynamic_conv import DynamicConv
from gpsattn_jax.modules.feedforward import MultiScaleFeedForward
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention
from gpsattn_jax.modules.joint_embedding import JointEmbedding
from gpsattn_jax.modules.lambda_layer import LambdaLayer
from gpsattn_jax.modules.map_attention import GatedAttention, GridAttention
from gpsattn_jax.modules.mixers import MIXERS
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.positional_attention import PositionalAttention
from gpsattn_jax.modules.reduced_attention import ReducedAttention
from gpsattn_jax.modules.skeleton_attention import ChannelAttention, SpatialAttention
from gpsattn_jax.modules.temporal_conv import TemporalConv

__all__ = [
    "MIXERS",
    "AxialAttention",
    "BatchNorm",
    "ChannelAttention",
    "DualMixer",
    "DynamicConv",
    "Functional",
    "GatedAttention",
    "GlobalSelfAttention",
    "GridAttention",
    "JointEmbedding",
    "LambdaLayer",
    "MultiHeadAttention",
    "MultiScaleFeedForward",
    "PositionalAttention",
    "ReducedAttention",
    "SpatialAttention",
    "TemporalConv",
    "attention_maps",
]
