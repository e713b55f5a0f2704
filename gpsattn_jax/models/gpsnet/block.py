"""A block of GPS-Net, and the codes of time and structure that its attentions see."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from gpsattn_jax.kernels import gelu
from gpsattn_jax.models.gpsnet.codes import (
    joint_codes,
    joint_parts,
    learned_codes,
    sinusoids,
)
from gpsattn_jax.models.gpsnet.config import Config
from gpsattn_jax.modules.layers import Dense, drop_path
from gpsattn_jax.modules.norms import LayerNorm
from gpsattn_jax.modules.skeleton_attention import ChannelAttention, SpatialAttention
from gpsattn_jax.modules.temporal_conv import TemporalConv, thin

FFN_RATIO = 2  # hidden width of the feed-forward net, in widths


class ClipBlock(nnx.Module):
    """A block by its `with_maps`, called without the maps."""

    with_maps: Callable[..., tuple[jax.Array, dict[str, jax.Array]]]

    def __call__(
        self,
        x: jax.Array,
        time: jax.Array,
        mask: jax.Array | None = None,
        rate: float | jax.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """[B, T, V, C] -> [B, ceil(T / stride), V, C'], see `with_maps`."""
        return self.with_maps(x, time, mask, rate, train=train, rngs=rngs)[0]


class Block(ClipBlock):
    """Both attentions, a convolution along time, a feed-forward net; norms before each.

    A block that is wider than the one before begins with a projection.

    Args:
        config: the network's.
        before: channels of what comes in.
        width: channels of the block.
        stride: of the frames.
        distances: [V, V], edges between joints.
        rngs: random streams for the initial values.
    """

    def __init__(
        self,
        config: Config,
        before: int,
        width: int,
        stride: int,
        distances: np.ndarray,
        *,
        rngs: nnx.Rngs,
    ):
        self.widen = Dense(before, width, rngs=rngs) if before != width else None
        attends = config.spatial_attention or config.channel_attention
        coded = attends and config.code_place != "embedding"
        self.parts = joint_parts(config) if coded else None
        self.codes = learned_codes(config, width, 0.02, rngs) if coded else None
        self.spatial = (
            SpatialAttention(
                width, config.num_heads, share_time=config.share_time,
                distances=distances if config.geodesic_bias else None,
                dropout=config.attention_dropout, rngs=rngs,
            )
            if config.spatial_attention
            else None
        )  # fmt: skip
        self.spatial_norm = (
            layer_norm(width, rngs) if config.spatial_attention else None
        )
        self.channel = (
            ChannelAttention(width, config.num_heads, rngs=rngs)
            if config.channel_attention
            else None
        )
        self.channel_norm = (
            layer_norm(width, rngs) if config.channel_attention else None
        )
        self.temporal = (
            TemporalConv(width, stride=stride, rngs=rngs)
            if config.temporal_conv
            else None
        )
        self.temporal_norm = layer_norm(width, rngs) if config.temporal_conv else None
        self.hidden_norm = layer_norm(width, rngs)
        self.hidden = Dense(width, FFN_RATIO * width, rngs=rngs)
        self.out = Dense(FFN_RATIO * width, width, rngs=rngs)
        self.stride = stride
        self.time_code, self.parallel = config.time_code, config.order == "parallel"

    def with_maps(
        self,
        x: jax.Array,
        time: jax.Array,
        mask: jax.Array | None = None,
        rate: float | jax.Array | None = None,
        *,
        attention: bool = False,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Attends, convolves and mixes channels.

        Args:
            x: [B, T, V, C].
            time: [B, T], where in its clip a frame stands.
            mask: optional boolean [B, T, V]; where joints are.
            rate: share of clips that skip a residual branch in training.
            attention: give the weights of both attentions back, too.
            train: draws which clips skip branches.
            rngs: random streams for that.

        Returns:
            ([B, ceil(T / stride), V, C'], {"spatial": [B, T, N, V, V], "channel":
            [B, N, D, D]} or {}).
        """
        drop = functools.partial(drop_path, rate=rate, train=train, rngs=rngs)
        x = x if self.widen is None else self.widen(x)
        start, maps = x, {}
        for name, norm, module in self._attentions():
            normal = norm(start if self.parallel else x)
            codes = self._codes_of(name, time, x.dtype)
            if attention:
                maps[name] = module.weights(normal, *codes, mask)
            x = x + drop(module(normal, *codes, mask, train=train, rngs=rngs))
        if self.temporal is None or self.temporal_norm is None:
            x = thin(x, self.stride)
        else:
            mixed = self.temporal(self.temporal_norm(x), mask)
            x = thin(x, self.stride) + drop(mixed)
        return x + drop(self.out(gelu(self.hidden(self.hidden_norm(x))))), maps

    def _attentions(self) -> list[tuple[str, Any, Any]]:
        """(name, norm, module) of each, in their order."""
        both = (
            ("spatial", self.spatial_norm, self.spatial),
            ("channel", self.channel_norm, self.channel),
        )
        return [(name, norm, m) for name, norm, m in both if m is not None]

    def _codes_of(self, name, time, dtype):
        """What an attention sees of time and structure, beside its input."""
        code = self._code(dtype)
        if name == "spatial":
            return (code,)
        width = self.hidden.in_features
        return (sinusoids(time, width) if self.time_code else None, code)

    def _code(self, dtype):
        """The joints' structural codes [V, C]."""
        if self.parts is None:
            return None
        return joint_codes(self.parts, self.codes, self.hidden.in_features, dtype)


def layer_norm(width: int, rngs: nnx.Rngs) -> LayerNorm:
    """A norm over channels, as everywhere in the network."""
    return LayerNorm(width, rngs=rngs)
