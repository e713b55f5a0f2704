"""Norms as PyTorch has them: batch, group (of one group) and layer norm."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.kernels.row_sums import along_rows, sum_of_rows
from gpsattn_jax.modules.mesh_axes import joined_places


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last: [..., C] -> [..., C].

    As PyTorch's: the running variance is the unbiased one (`nnx.BatchNorm` keeps the
    biased one, which is 0.3 % off for 16 x 16 values and changes converted networks).
    In a sharded step the statistics are those of the global batch.

    Args:
        channels: C.
        momentum: share of the old running statistics that a training step keeps.
        epsilon: added to the variance.
        scale: initial value of the learned scale.
        rngs: unused; every module takes it.
    """

    def __init__(
        self,
        channels: int,
        *,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        scale: float = 1.0,
        rngs: nnx.Rngs,
    ):
        del rngs
        self.scale = nnx.Param(jnp.full((channels,), scale, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((channels,)))
        self.mean = nnx.BatchStat(jnp.zeros((channels,)))
        self.var = nnx.BatchStat(jnp.ones((channels,)))
        self.momentum = momentum
        self.epsilon = epsilon

    def __call__(
        self,
        x: chex.Array,
        mask: chex.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Normalises x, in float32 at least; training also updates the statistics.

        Values where the mask (x's shape) is False do not count in them.
        """
        return _apply(x, *self.affine(x, mask, train=train))

    def affine(
        self, x: chex.Array, mask: chex.Array | None = None, *, train: bool = False
    ) -> tuple[chex.Array, chex.Array]:
        """The normalisation as a factor and a sum, to be folded into other layers.

        Args:
            x: [..., C], looked at in training alone.
            mask: optional, boolean of x's shape; where it is False x does not count.
            train: by the statistics of x, which also update the running ones.

        Returns:
            (multiplier [C], offset [C]).
        """
        mean, var = self.mean[...], self.var[...]
        if train:
            mean, var = self._statistics(x, mask)
        return _affine(mean, var, self.scale[...], self.bias[...], self.epsilon)

    def _statistics(self, x, mask):
        if mask is not None:
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            return self._masked_statistics(wide, mask, tuple(range(x.ndim - 1)))
        mean, var = _moments(x)
        count = x.size // x.shape[-1]
        self._update(self.mean, mean)
        self._update(self.var, var * (count / max(count - 1, 1)))
        return mean, var

    def _masked_statistics(self, x, mask, axes):
        """A channel that no example shows keeps the statistics it has."""
        count, visible = mask.sum(axes).astype(x.dtype), mask.any(axes)
        least = jnp.maximum(count, 1)
        mean = jnp.where(mask, x, 0).sum(axes) / least
        mean = jnp.where(visible, mean, self.mean[...])
        centred = jnp.where(mask, x - along_channels(mean, x.ndim), 0)
        var = jnp.where(visible, jnp.square(centred).sum(axes) / least, self.var[...])
        self._update(self.mean, mean)
        self._update(
            self.var, jnp.where(visible, var * (count / jnp.maximum(count - 1, 1)), var)
        )
        return mean, var

    def _update(self, running, batch):
        mixed = self.momentum * running[...] + (1 - self.momentum) * batch
        # Not `running[...] =`, which asks a traced array where it lies: a tenth of the
        # time that a network takes to trace.
        running.set_value(mixed.astype(running[...].dtype))


# Jitted, so that a network traces each of its shapes once; XLA sees through it.
@jax.jit
def _moments(x):
    """[..., C] -> mean and biased variance [C], float32 at least."""
    flat = joined_places(x.astype(jnp.promote_types(x.dtype, jnp.float32)))
    mean, var = _moments_over(flat, tuple(range(flat.ndim - 1)))
    return mean.reshape(-1), var.reshape(-1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _moments_over(x, axes):
    """Mean and biased variance over some axes, which stay with length 1."""
    mean = _mean(x, axes)
    return mean, _mean(jnp.square(x - mean), axes)


@_moments_over.defjvp
def _moments_over_jvp(axes, primals, tangents):
    """Without the variance's slope along the mean, which is 0, and a sum to find it."""
    (x,), (tangent,) = primals, tangents
    mean, var = _moments_over(x, axes)
    slopes = tangent, 2 * (x - mean) * tangent
    return (mean, var), tuple(slope.mean(axes, keepdims=True) for slope in slopes)


def _mean(x, axes):
    rows, *others = axes
    if rows != x.ndim - 2:  # several axes of places, which devices share
        return x.mean(axes, keepdims=True)
    sums = sum_of_rows(x)[..., None, :].sum(others, keepdims=True)
    return sums / math.prod(x.shape[axis] for axis in axes)


@jax.jit
def _affine(mean, var, scale, bias, epsilon):
    multiplier = scale * jax.lax.rsqrt(var + epsilon)
    return multiplier, bias - mean * multiplier


@jax.jit
def _apply(x, multiplier, offset):
    flat = joined_places(x)
    multiplier, offset = (along_places(v, flat) for v in (multiplier, offset))
    return (flat * multiplier + offset).reshape(x.shape).astype(x.dtype)


class GroupNorm(nnx.Module):
    """Group norm with one group, over rows, columns and channels: [B, H, W, C] -> same.

    As PyTorch's `GroupNorm(1, C)`: epsilon 1e-5 (Flax's is 1e-6); the result has x's
    dtype, statistics are float32 at least.

    Args:
        channels: C.
        epsilon: added to the variance.
        rngs: unused; every module takes it.
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-5, rngs: nnx.Rngs):
        del rngs
        self.scale = nnx.Param(jnp.ones((channels,)))
        self.bias = nnx.Param(jnp.zeros((channels,)))
        self.epsilon = epsilon

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Normalises each example by itself."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        wide = wide.reshape(len(x), -1, x.shape[-1])  # [B, H W, C]
        mean, var = (moment[:, 0] for moment in _moments_over(wide, (1, 2)))
        scale, bias = (along_channels(v[...], 2) for v in (self.scale, self.bias))
        multiplier = jax.lax.rsqrt(var + self.epsilon) * scale
        offset = bias - mean * multiplier
        multiplier, offset = (
            along_rows(v, wide.shape[1]) for v in (multiplier, offset)
        )
        return (wide * multiplier + offset).reshape(x.shape).astype(x.dtype)


class LayerNorm(nnx.Module):
    """Layer norm of the last axis: [..., C] -> [..., C].

    The numbers of `nnx.LayerNorm` with two passes for the variance. Scale and bias have
    their gradients by products (see `along_rows`).

    Args:
        channels: C.
        epsilon: added to the variance.
        rngs: unused; every module takes it.
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-6, rngs: nnx.Rngs):
        del rngs
        self.scale = nnx.Param(jnp.ones((channels,)))
        self.bias = nnx.Param(jnp.zeros((channels,)))
        self.epsilon = epsilon

    def __call__(self, x: chex.Array) -> chex.Array:
        """Normalises each place by itself, in float32 at least."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        wide = wide.reshape(-1, x.shape[-1])
        mean = wide.mean(-1, keepdims=True)
        centred = wide - mean
        var = jnp.square(centred).mean(-1, keepdims=True)
        scale, bias = (
            along_rows(vector[...].astype(wide.dtype), len(wide))
            for vector in (self.scale, self.bias)
        )
        out = centred * (jax.lax.rsqrt(var + self.epsilon) * scale) + bias
        return out.reshape(x.shape).astype(x.dtype)


def along_channels(vector: chex.Array, rank: int) -> chex.Array:
    """[C] -> [1, …, 1, C] of the given rank: no axis is added silently."""
    return vector.reshape((1,) * (rank - 1) + (-1,))


def along_places(vector: chex.Array, flat: chex.Array) -> chex.Array:
    """[C] -> what goes with `joined_places`; its gradient is a product if it can be."""
    if flat.ndim == 2:
        return along_rows(vector, len(flat))
    return along_channels(vector, flat.ndim)
