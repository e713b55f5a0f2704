"""Attention between joints that know their place on the skeleton; between channels."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gpsattn_jax.kernels import (
    attend,
    attention_weights,
    channel_attention,
    channel_weights,
    geodesic_bias,
)
from gpsattn_jax.kernels.row_sums import along_rows
from gpsattn_jax.modules.layers import Dense, check_heads


class _Heads(nnx.Module):
    """Projections into heads and back; query and key may see a code that value not."""

    def __init__(self, channels: int, num_heads: int, *, rngs: nnx.Rngs):
        check_heads("channels", channels, num_heads)
        self.query, self.key, self.value, self.out = (
            Dense(channels, channels, rngs=rngs) for _ in range(4)
        )
        self.num_heads = num_heads

    def project(self, x: chex.Array, *codes: chex.Array | None) -> list[chex.Array]:
        """Query and key of x + codes, value of x: [..., C] -> three of [..., N, D].

        Codes broadcast against x, or are None. Their projections are added to x's: the
        same, for less work, since a code is one for many places.
        """
        layers = (self.query, self.key, self.value)
        kernel = jnp.concatenate([layer.kernel[...] for layer in layers], axis=1)
        bias = jnp.concatenate([jnp.asarray(layer.bias) for layer in layers])
        channels = x.shape[-1]
        flat = x.reshape(-1, channels) @ kernel.astype(x.dtype)
        flat = flat + along_rows(bias.astype(x.dtype), len(flat))
        parts = jnp.split(flat.reshape(*x.shape[:-1], -1), 3, axis=-1)
        for code in codes:
            if code is not None:
                both = code.astype(x.dtype) @ kernel[:, : 2 * channels].astype(x.dtype)
                query, key = jnp.split(both, 2, axis=-1)
                parts = [parts[0] + query, parts[1] + key, parts[2]]
        return [p.reshape(*x.shape[:-1], self.num_heads, -1) for p in parts]


class SpatialAttention(_Heads):
    """Attention of joints to joints within each frame: [B, T, V, C] -> same.

    GPS-Net's spatial self-attention, as reconstructed: softmax(q_u . k_v / sqrt(D) +
    bias[distance(u, v)]); structural codes enter query and key (after DSTA-Net, arXiv
    2007.03263), the bias is learned for each head and distance (after Graphormer, arXiv
    2106.05234).

    Args:
        channels: C.
        num_heads: N.
        distances: [V, V], whole numbers; no bias if None.
        share_time: one map for all frames, by the mean of their logits.
        dropout: share of the weights that training drops.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        distances: np.ndarray | None = None,
        share_time: bool = False,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ):
        super().__init__(channels, num_heads, rngs=rngs)
        self.bias = (
            None
            if distances is None
            else nnx.Param(jnp.zeros((num_heads, int(distances.max()) + 1)))
        )
        # A tuple: to Flax an array would be a part of the network's state.
        self.distances = None if distances is None else tuple(map(tuple, distances))
        self.share_time = share_time
        self.dropout = nnx.Dropout(dropout)

    def __call__(
        self,
        x: chex.Array,
        code: chex.Array | None = None,
        mask: chex.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Attends.

        Args:
            x: [B, T, V, C].
            code: optional [V, C], the joints' structural codes.
            mask: optional boolean [B, T, V]; hidden joints are not attended to.
            train: draws dropout.
            rngs: random streams for that.
        """
        query, key, value = self.project(x, _on_joints(code))
        if self.share_time:
            drop = functools.partial(self.dropout, deterministic=not train, rngs=rngs)
            out = self._attend_at_once(query, key, value, mask, drop)
        elif train and self.dropout.rate:
            weights = self._by_frame(attention_weights, query, key, mask=mask)
            weights = self.dropout(weights, deterministic=False, rngs=rngs)
            if mask is not None:
                value = jnp.where(mask[..., None, None], value, 0)
            out = jnp.einsum("btnuv,btvnd->btund", weights, value)
        else:
            out = self._by_frame(attend, query, key, value, mask=mask)
        return self.out(out.reshape(x.shape))

    def weights(
        self,
        x: chex.Array,
        code: chex.Array | None = None,
        mask: chex.Array | None = None,
    ) -> chex.Array:
        """The attention weights.

        Args:
            x: [B, T, V, C].
            code: optional [V, C], as in the call.
            mask: optional boolean [B, T, V], likewise.

        Returns:
            [B, T, N, V, V], or [B, 1, N, V, V] with `share_time`.
        """
        query, key, _ = self.project(x, _on_joints(code))
        if self.share_time:
            return self._shared_weights(query, key, mask)[:, None]
        return self._by_frame(attention_weights, query, key, mask=mask)

    def _by_frame(self, kernel, *arrays, mask=None):
        """A kernel for every frame and head: [B, T, V, N, D]s -> [B, T, …]."""

        def one_head(bias, visible, *arrays):
            count = arrays[0].shape[0]
            visible = (
                None if visible is None else jnp.broadcast_to(visible, (count, count))
            )
            return kernel(*arrays, bias=bias, mask=visible)

        bias, heads = self._bias(), (1,) * len(arrays)
        out = 1 if kernel is attend else 0
        mapped = jax.vmap(
            one_head, in_axes=(None if bias is None else 0, None, *heads), out_axes=out
        )
        visible = None if mask is None else mask[..., None, :]
        for _ in range(2):  # frames, clips
            axes = (None, None if mask is None else 0, *(0 for _ in arrays))
            mapped = jax.vmap(mapped, in_axes=axes)
        return mapped(bias, visible, *arrays)

    def _attend_at_once(self, query, key, value, mask, drop):
        """The same attention in each frame: joints' vectors of all frames together."""
        steps = query.shape[1]
        if mask is not None:
            value = jnp.where(mask[..., None, None], value, 0)
        weights = drop(self._shared_weights(query, key, mask))
        flat = _of_all_frames(value)
        out = jnp.matmul(weights, flat)
        batch, heads, joints, _ = out.shape
        return out.reshape(batch, heads, joints, steps, -1).transpose(0, 3, 2, 1, 4)

    def _shared_weights(self, query, key, mask):
        """[B, T, V, N, D] -> [B, N, V, V], of the logits' mean over a clip's frames.

        Where a joint is missing, its logit in that frame is 0.
        """
        steps, dim = query.shape[1], query.shape[-1]
        frames, visible = jnp.full((len(query),), steps, query.dtype), None
        if mask is not None:
            query, key = (jnp.where(mask[..., None, None], x, 0) for x in (query, key))
            frames = jnp.maximum(mask.any(-1).sum(-1), 1).astype(query.dtype)
            visible = mask.any(1)[:, None, :]
            visible = jnp.broadcast_to(
                visible, (len(mask), mask.shape[-1], mask.shape[-1])
            )
        query = query / frames[:, None, None, None, None]

        def one_head(query, key, bias, visible):
            return attention_weights(query, key, bias, visible, scale=dim**-0.5)

        bias = self._bias()
        heads = jax.vmap(one_head, in_axes=(0, 0, None if bias is None else 0, None))
        along_batch = jax.vmap(
            heads, in_axes=(0, 0, None, None if visible is None else 0)
        )
        return along_batch(_of_all_frames(query), _of_all_frames(key), bias, visible)

    def _bias(self):
        """[N, V, V]."""
        if self.bias is None:
            return None
        distances = np.array(self.distances)
        return jax.vmap(lambda table: geodesic_bias(table, distances))(self.bias[...])


def _on_joints(code):
    """[V, C] -> [1, 1, V, C]."""
    return None if code is None else code[None, None]


def _of_all_frames(x):
    """[B, T, V, N, D] -> [B, N, V, T D]."""
    batch, _, joints, heads, _ = x.shape
    return x.transpose(0, 3, 2, 1, 4).reshape(batch, heads, joints, -1)


class ChannelAttention(_Heads):
    """Attention of channels to channels over a whole clip: [B, T, V, C] -> same.

    GPS-Net's channel self-attention, as reconstructed: cross-covariance attention
    (XCiT, arXiv 2106.09681) whose query and key see the codes of time and structure.
    Without the code of time no weight depends on the order of frames: it sums over all
    of them.

    Args:
        channels: C.
        num_heads: N.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(self, channels: int, num_heads: int, *, rngs: nnx.Rngs):
        super().__init__(channels, num_heads, rngs=rngs)
        self.temperature = nnx.Param(jnp.ones((num_heads,)))

    def __call__(
        self,
        x: chex.Array,
        time: chex.Array | None = None,
        code: chex.Array | None = None,
        mask: chex.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Attends.

        Args:
            x: [B, T, V, C], any T and V.
            time: optional [B, T, C], the frames' codes.
            code: optional [V, C], the joints' structural codes.
            mask: optional boolean [B, T, V]; hidden places do not count.
            train: unused; every module takes it.
            rngs: likewise.
        """
        arrays = self._flat(x, time, code)
        mapped = self._map_kernel(channel_attention, 3, mask, out_axes=1)
        out = mapped(*arrays, self.temperature[...], _flat_mask(mask))
        return self.out(out.reshape(x.shape))

    def weights(
        self,
        x: chex.Array,
        time: chex.Array | None = None,
        code: chex.Array | None = None,
        mask: chex.Array | None = None,
    ) -> chex.Array:
        """The attention weights.

        Args:
            x: [B, T, V, C].
            time: optional [B, T, C], as in the call.
            code: optional [V, C], likewise.
            mask: optional boolean [B, T, V], likewise.

        Returns:
            [B, N, D, D], D = C / N.
        """
        query, key, _ = self._flat(x, time, code)
        mapped = self._map_kernel(channel_weights, 2, mask, out_axes=0)
        return mapped(query, key, self.temperature[...], _flat_mask(mask))

    def _flat(self, x, time, code):
        """Query, key and value [B, T V, N, D]."""
        time = None if time is None else time[:, :, None]
        parts = self.project(x, time, _on_joints(code))
        return [part.reshape(len(x), -1, *part.shape[3:]) for part in parts]

    @staticmethod
    def _map_kernel(kernel, count, mask, out_axes):
        heads = jax.vmap(kernel, in_axes=(*(1,) * count, 0, None), out_axes=out_axes)
        mask_axis = None if mask is None else 0
        return jax.vmap(heads, in_axes=(*(0,) * count, None, mask_axis))


def _flat_mask(mask):
    return None if mask is None else mask.reshape(len(mask), -1)
