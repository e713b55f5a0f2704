"""Joint sequences to channels: positions, motions, distances between joints."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.layers import Dense
from gpsattn_jax.modules.norms import BatchNorm


class JointEmbedding(nnx.Module):
    """Sums the embeddings of several inputs: [B, T, V, C] -> [B, T, V, channels].

    Positions and motions are normalised over V C (after SGN, arXiv 1904.01189) and go
    through Dense-ReLU-Dense joint by joint; distances (after DD-Net, arXiv 1907.09658)
    through another one, whose result every joint of the frame gets.

    Args:
        num_joints: V.
        coordinates: C.
        channels: of the result.
        hidden: width between the Dense layers.
        positions: whether the sequence itself is embedded.
        motions: its differences over so many frames are.
        distances: all distances between the joints of a frame are.
        distance_motions: their differences over so many frames are.
        rngs: random streams for the initial values.
    """

    def __init__(
        self,
        num_joints: int,
        coordinates: int,
        channels: int,
        *,
        hidden: int,
        positions: bool = True,
        motions: Sequence[int] = (1,),
        distances: bool = False,
        distance_motions: Sequence[int] = (),
        rngs: nnx.Rngs,
    ):
        check_least(1, num_joints=num_joints, coordinates=coordinates, hidden=hidden)
        check_least(1, channels=channels)
        for lag in (*motions, *distance_motions):
            check_least(1, motions=lag)
        self.lags = ((0,) if positions else ()) + tuple(motions)
        self.norms = nnx.List(
            BatchNorm(num_joints * coordinates, rngs=rngs) for _ in self.lags
        )
        self.layers = nnx.List(
            TwoLayers(coordinates, hidden, channels, rngs=rngs) for _ in self.lags
        )
        self.distance_lags = ((0,) if distances else ()) + tuple(distance_motions)
        pairs = num_joints * (num_joints - 1) // 2
        self.distances = nnx.List(
            TwoLayers(pairs, hidden, channels, rngs=rngs) for _ in self.distance_lags
        )

    def __call__(
        self,
        joints: chex.Array,
        mask: chex.Array | None,
        stream: chex.Array,
        visible: chex.Array | None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Embeds.

        Args:
            joints: [B, T, V, C], what distances are taken of.
            mask: optional boolean [B, T, V]; where joints are.
            stream: [B, T, V, C], what positions and motions are taken of.
            visible: likewise; where the stream is.
            train: updates the statistics of the norms.
            rngs: unused; every module takes it.
        """
        found = []
        for lag, norm, layers in zip(self.lags, self.norms, self.layers, strict=True):
            x, where = motion(stream, visible, lag) if lag else (stream, visible)
            found.append(layers(_normalise(norm, x, where, train)))
        if self.distance_lags:
            gaps, both = joint_distances(joints, mask)
        for lag, layers in zip(self.distance_lags, self.distances, strict=True):
            x = motion(gaps, both, lag)[0] if lag else gaps
            found.append(layers(x[..., 0])[:, :, None])
        total = found[0]
        for one in found[1:]:
            total = total + one
        shape = (*joints.shape[:3], total.shape[-1])
        return jnp.broadcast_to(total, shape)


class TwoLayers(nnx.Module):
    """Dense-ReLU-Dense: [..., inputs] -> [..., outputs].

    Args:
        inputs: channels.
        hidden: channels between the layers.
        outputs: channels of the result.
        rngs: random streams for the initial values.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        self.hidden = Dense(inputs, hidden, rngs=rngs)
        self.out = Dense(hidden, outputs, rngs=rngs)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """[..., inputs] -> [..., outputs]."""
        return self.out(jax.nn.relu(self.hidden(x)))


def motion(
    x: chex.Array, mask: chex.Array | None, lag: int
) -> tuple[chex.Array, chex.Array | None]:
    """Differences over `lag` frames, and where both are there; 0 in the first `lag`.

    Args:
        x: [B, T, V, C].
        mask: optional boolean [B, T, V].
        lag: at least 1.

    Returns:
        (differences [B, T, V, C], boolean [B, T, V], or None without a mask).
    """
    before = jnp.pad(x[:, :-lag], ((0, 0), (lag, 0)) + ((0, 0),) * (x.ndim - 2))[
        :, : x.shape[1]
    ]
    inside = (jnp.arange(x.shape[1]) >= lag).reshape((1, -1) + (1,) * (x.ndim - 2))
    if mask is not None:
        shifted = jnp.pad(mask[:, :-lag], ((0, 0), (lag, 0), (0, 0)))
        mask = mask & (shifted[:, : mask.shape[1]] | ~inside[..., 0])
        inside = inside & mask[..., None]
    return jnp.where(inside, x - before, 0), mask


def joint_distances(
    joints: chex.Array, mask: chex.Array | None
) -> tuple[chex.Array, chex.Array | None]:
    """Distances between all joints of a frame, standardised within a clip.

    Args:
        joints: [B, T, V, C].
        mask: optional boolean [B, T, V].

    Returns:
        ([B, T, V (V - 1) / 2, 1], boolean [B, T, V (V - 1) / 2]): the distances, 0 (the
        mean) where one of the two joints is missing, and where both are there.
    """
    one, other = np.triu_indices(joints.shape[2], 1)
    square = jnp.square(joints[:, :, one] - joints[:, :, other]).sum(-1)
    # The root of zero has no gradient.
    found = jnp.sqrt(jnp.where(square > 0, square, 1)) * (square > 0)
    if mask is None:
        mean = found.mean((1, 2), keepdims=True)
        var = jnp.square(found - mean).mean((1, 2), keepdims=True)
        return ((found - mean) * jax.lax.rsqrt(var + 1e-8))[..., None], None
    both = mask[:, :, one] & mask[:, :, other]
    count = jnp.maximum(both.sum((1, 2), keepdims=True), 1).astype(found.dtype)
    mean = jnp.where(both, found, 0).sum((1, 2), keepdims=True) / count
    centred = jnp.where(both, found - mean, 0)
    var = jnp.square(centred).sum((1, 2), keepdims=True) / count
    return (centred * jax.lax.rsqrt(var + 1e-8))[..., None], both


def _normalise(norm, x, mask, train):
    """Over V C, by the statistics of what is visible; hidden coordinates become 0."""
    flat = x.reshape(*x.shape[:2], -1)
    visible = None
    if mask is not None:
        visible = jnp.repeat(mask, x.shape[-1], axis=-1)
    out = norm(flat, visible, train=train)
    if visible is not None:
        out = jnp.where(visible, out, 0)
    return out.reshape(x.shape)
