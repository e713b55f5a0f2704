"""Flax NNX modules: they own parameters and call a kernel.

Every module is called `module(arrays…, train=…, rngs=…)`, needed or not, so that one
module serves training and evaluation and no random state hides inside it.
"""

from gpsattn_jax.modules.attention_maps import attention_maps
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention
from gpsattn_jax.modules.norms import BatchNorm

__all__ = ["BatchNorm", "Functional", "GlobalSelfAttention", "attention_maps"]
