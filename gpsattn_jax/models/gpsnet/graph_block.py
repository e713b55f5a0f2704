"""A block of a graph network, as a peer of GPS-Net's: its adjacency is learned.

After CTR-GCN ("Channel-wise Topology Refinement Graph Convolution Networks", arXiv
2107.12213): an adjacency that all clips share is refined for every clip and channel;
then convolutions of several lengths go along time. Smaller than theirs, and in
GPS-Net's network: inputs, pooling and head are the same, so that blocks alone are
compared.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gpsattn_jax.graphs import distances_from, neighbours_of
from gpsattn_jax.models.gpsnet.block import ClipBlock
from gpsattn_jax.models.gpsnet.config import Config
from gpsattn_jax.modules.layers import Dense, drop_path
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.temporal_conv import thin, thin_mask

REDUCTION = 8  # of channels, where joints are compared
KERNEL_SIZE = 5  # frames of a convolution along time
DILATIONS = (1, 2)  # of its branches, beside a maximum and the frame itself


class GraphBlock(ClipBlock):
    """Refined graph convolution, then multi-scale convolution; residuals around both.

    Args:
        config: the network's.
        before: channels of what comes in.
        width: channels of the block, a multiple of 4.
        stride: of the frames.
        rngs: random streams for the initial values.
    """

    def __init__(
        self, config: Config, before: int, width: int, stride: int, *, rngs: nnx.Rngs
    ):
        self.widen = Dense(before, width, rngs=rngs) if before != width else None
        self.graph = RefinedGraphConv(width, skeleton_adjacency(config), rngs=rngs)
        self.graph_norm = BatchNorm(width, rngs=rngs)
        self.temporal = MultiScaleConv(width, stride, rngs=rngs)
        self.temporal_norm = BatchNorm(width, rngs=rngs)
        self.stride = stride

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
        """Convolves over joints, then over frames.

        Args:
            x: [B, T, V, C].
            time: unused; attention blocks take it.
            mask: optional boolean [B, T, V]; where joints are.
            rate: share of clips that skip a residual branch in training.
            attention: unused; there are no maps.
            train: by batch statistics; draws which clips skip branches.
            rngs: random streams for that.

        Returns:
            ([B, ceil(T / stride), V, C'], {}).
        """
        del time, attention
        drop = functools.partial(drop_path, rate=rate, train=train, rngs=rngs)
        x = x if self.widen is None else self.widen(x)
        mixed = self.graph(x, mask)
        x = jax.nn.relu(x + drop(_normal(self.graph_norm, mixed, mask, train)))
        mixed = self.temporal(x, mask, train=train)
        if mask is not None:
            mask = thin_mask(mask, self.stride)
        mixed = _normal(self.temporal_norm, mixed, mask, train)
        return jax.nn.relu(thin(x, self.stride) + drop(mixed)), {}


class RefinedGraphConv(nnx.Module):
    """Sums joints' values over an adjacency of each channel: [B, T, V, C] -> same.

    A subset of the bones has the adjacency A[u, v] + strength tanh(a[u] - b[v]) W, a
    and b the joints' means over frames, reduced; A, strength and W are learned.

    Args:
        channels: C.
        adjacency: [S, V, V], where A begins.
        rngs: random streams for the initial values.
    """

    def __init__(self, channels: int, adjacency: np.ndarray, *, rngs: nnx.Rngs):
        subsets, small = len(adjacency), max(8, channels // REDUCTION)
        self.adjacency = nnx.Param(jnp.asarray(adjacency, jnp.float32))
        self.strength = nnx.Param(jnp.zeros((subsets,)))
        self.compared = Dense(channels, 2 * subsets * small, rngs=rngs)
        start = nnx.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0)
        self.refinement = nnx.Param(start(rngs.params(), (subsets, small, channels)))
        self.value = Dense(channels, subsets * channels, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """Convolves; joints where the mask [B, T, V] is False give nothing."""
        batch, steps, joints, channels = x.shape
        subsets = len(self.strength[...])
        value = self.value(x).reshape(batch, steps, joints, subsets, channels)
        if mask is not None:
            value = jnp.where(mask[..., None, None], value, 0)
        return jnp.einsum("bsuvc,btvsc->btuc", self.graphs(x, mask), value)

    def graphs(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """The adjacency of each clip and channel: [B, T, V, C] -> [B, S, V, V, C]."""
        if mask is None:
            mean = x.mean(1)
        else:
            seen = jnp.where(mask[..., None], x, 0).sum(1)
            mean = seen / jnp.maximum(mask.sum(1), 1)[..., None]
        subsets = len(self.strength[...])
        both = self.compared(mean).reshape(*mean.shape[:2], 2, subsets, -1)
        one, other = both[:, :, None, 0], both[:, None, :, 1]
        refined = jnp.einsum(
            "buvsr,src->bsuvc", jnp.tanh(one - other), self.refinement[...]
        )
        strength = self.strength[...].reshape(1, subsets, 1, 1, 1)
        return self.adjacency[...][None, ..., None] + strength * refined


class MultiScaleConv(nnx.Module):
    """Four branches along time of a quarter of the channels each.

    Convolutions of two dilations, the greatest of three frames, and the frame itself.

    Args:
        channels: C, a multiple of 4.
        stride: s, of the frames.
        rngs: random streams for the initial values.
    """

    def __init__(self, channels: int, stride: int, *, rngs: nnx.Rngs):
        if channels % 4:
            raise ValueError(f"channels must be a multiple of 4; got {channels}.")
        self.point = Dense(channels, channels, use_bias=False, rngs=rngs)
        self.norm = BatchNorm(channels, rngs=rngs)
        width = channels // 4
        self.convolutions = nnx.List(
            Dense(KERNEL_SIZE * width, width, use_bias=False, rngs=rngs)
            for _ in DILATIONS
        )
        self.stride = stride

    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """[B, T, V, C] -> [B, ceil(T / s), V, C]; hidden joints count as zeros."""
        x = jax.nn.relu(_normal(self.norm, self.point(x), mask, train))
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)
        *parts, greatest, own = jnp.split(x, 4, axis=-1)
        found = [
            layer(jnp.concatenate(self._shifted(part, KERNEL_SIZE, dilation), -1))
            for layer, part, dilation in zip(
                self.convolutions, parts, DILATIONS, strict=True
            )
        ]
        # After a ReLU no value is below the zeros around the clip.
        most = functools.reduce(jnp.maximum, self._shifted(greatest, 3, 1))
        return jnp.concatenate([*found, most, thin(own, self.stride)], axis=-1)

    def _shifted(self, x, size, dilation):
        """[B, T, V, C] as a window of frames sees it: `size` times [B, T', V, C]."""
        edge, steps = size // 2 * dilation, x.shape[1]
        padded = jnp.pad(x, ((0, 0), (edge, edge), (0, 0), (0, 0)))
        return [
            padded[:, start : start + steps : self.stride]
            for start in range(0, size * dilation, dilation)
        ]


def skeleton_adjacency(config: Config) -> np.ndarray:
    """Joints themselves, bones towards the root, bones away: [3, V, V] float32.

    The rows of each sum to one, or to zero where a joint has no such bone.
    """
    neighbours = neighbours_of(config.num_joints, config.edges)
    depth = distances_from(config.root, neighbours)
    inward = np.zeros((config.num_joints, config.num_joints), np.float32)
    for joint, near in enumerate(neighbours):
        for other in near:
            inward[joint, other] = depth[other] < depth[joint]
    found = np.stack([np.eye(config.num_joints, dtype=np.float32), inward, inward.T])
    return found / np.maximum(found.sum(-1, keepdims=True), 1)


def _normal(norm, x, mask, train):
    """By the statistics of joints that are there."""
    visible = None if mask is None else jnp.broadcast_to(mask[..., None], x.shape)
    return norm(x, visible, train=train)
