"""TransXNet for inference alone: batch norms folded into the layers beside them.

Exact up to rounding. A norm after a linear layer goes into its weights, one before a
linear layer too; a layer scale after a folded layer as well. The norm before a
depthwise convolution stays: the zeros around the map are not shifted by it.
"""

import functools
from typing import Any

import chex
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.models import transxnet
from gpsattn_jax.modules.dual_mixer import TokenEnhancer
from gpsattn_jax.modules.dynamic_conv import DynamicConv
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.layers import LayerScale, PatchEmbed
from gpsattn_jax.modules.reduced_attention import SpatialReduction


def fold_for_inference(
    config: transxnet.Config, params: dict, state: dict
) -> tuple[Functional, dict, dict]:
    """A trained network in a form that is faster and cannot be trained.

    Args:
        config: of the network.
        params: its parameters.
        state: its batch statistics.

    Returns:
        (network, params, state), called as the original; `apply` with `train=True`
        raises a ValueError.
    """
    module = nnx.merge(transxnet.build(config).graphdef, params, state)
    _fold(module)
    arrays = (nnx.state(module, kind) for kind in (nnx.Param, nnx.Not(nnx.Param)))
    params, state = (nnx.to_pure_dict(part) for part in arrays)
    return Functional(functools.partial(_make, config)), params, state


def _make(config, rngs):
    module = transxnet.TransXNet(config, rngs=rngs)
    _fold(module)
    return module


class Shift(nnx.Module):
    """What is left of a norm after a layer: its offset, [..., C] -> [..., C]."""

    def __init__(self, offset: chex.Array):
        self.offset = nnx.Param(offset)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """X + offset."""
        return x + self.affine(x, train=train)[1].reshape((1,) * (x.ndim - 1) + (-1,))

    def affine(
        self, x: chex.Array, *, train: bool = False
    ) -> tuple[chex.Array, chex.Array]:
        """As `BatchNorm.affine`."""
        _refuse(train)
        return jnp.ones_like(self.offset[...]), self.offset[...]


class Nothing(nnx.Module):
    """What is left of a norm before a layer."""

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """X itself."""
        _refuse(train)
        return x


def _refuse(train):
    if train:
        raise ValueError("A network folded for inference cannot be trained.")


def _fold(module):
    """Folds each part of a network where it stands."""
    for _, part in list(nnx.iter_modules(module)):
        if isinstance(part, PatchEmbed):
            part.norm = _into_kernel(part.conv, part.norm)
        elif isinstance(part, DynamicConv):
            part.norm = _into_kernel(part.reduce, part.norm)
        elif isinstance(part, SpatialReduction) and part.reduction > 1:
            part.conv_norm = _into_kernel(part.conv, part.conv_norm)
            part.scale_norm = _into_kernel(part.scale, part.scale_norm)
        elif isinstance(part, TokenEnhancer):
            _fold_enhancer(part)
        elif isinstance(part, transxnet.Block):
            _fold_feedforward(part.feedforward, part.feedforward_scale)
            part.feedforward_scale = None


def _fold_enhancer(part: Any) -> None:
    for norm, layer in (("conv_norm", "squeeze"), ("squeeze_norm", "expand")):
        linear = getattr(part, layer)
        linear.bias[...] += _before(getattr(part, norm), linear)
        setattr(part, norm, Nothing())
    multiplier, offset = _affine(part.expand_norm)
    part.expand.kernel[...] *= multiplier[None]
    part.expand.bias[...] = part.expand.bias[...] * multiplier + offset
    part.expand_norm = Nothing()


def _fold_feedforward(part: Any, scale: LayerScale | None) -> None:
    """Norms around the last layer, and the layer scale behind it."""
    total = jnp.zeros_like(part.norm.bias[...])
    for branch in part.branches:
        total += _before(branch.conv_norm, branch.project)
        branch.conv_norm = Nothing()
    multiplier, offset = _affine(part.norm)
    if scale is not None:
        multiplier = multiplier * scale.factor[0, 0]
        offset = offset * scale.factor[0, 0] + scale.bias[...]
    for branch in part.branches:
        branch.project.kernel[...] *= multiplier[None]
    part.norm = Shift(total * multiplier + offset)


def _into_kernel(layer, norm):
    """Folds a norm behind a layer without bias; the offset stays."""
    multiplier, offset = _affine(norm)
    shape = (1,) * (layer.kernel.ndim - 1) + (-1,)
    layer.kernel[...] *= multiplier.reshape(shape)
    return Shift(offset)


def _before(norm, linear):
    """Folds a norm before a linear layer; returns what it adds to the output."""
    multiplier, offset = _affine(norm)
    added = offset @ linear.kernel[...]
    linear.kernel[...] *= multiplier[:, None]
    return added


def _affine(norm):
    return norm.affine(norm.mean[...])
