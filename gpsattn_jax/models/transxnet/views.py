"""What a TransXNet does with its images, for pictures: kernels, attention, evidence."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.models import transxnet


class Views(NamedTuple):
    """Kernels, attention and evidence, of B images.

    Attributes:
        logits: [B, num_classes].
        kernels: for each stage, the kernels [B, K, K, C / 2] that the last block's
            dynamic convolution makes of each image.
        attention: for each stage, the weights [B, N, H, W, h, w] with which the same
            block's pixels look at the reduced map.
        evidence: [B, h, w, num_classes]; its mean over the last map's pixels is the
            logits, for the head is linear after the norm.
    """

    logits: Any
    kernels: Sequence[Any]
    attention: Sequence[Any]
    evidence: Any


@functools.cache
def viewer(config: transxnet.Config) -> Any:
    """A compiled function (params, state, images [B, H, W, C]) -> `Views`.

    Args:
        config: of the network, with a head.

    Raises:
        ValueError: for a network without a head.
    """
    if config.features_only:
        raise ValueError("features_only must be False for views of the decision.")
    graphdef = transxnet.build(config).graphdef

    @jax.jit
    def views(params, state, images):
        module = nnx.merge(graphdef, params, state)
        module.norm = last = _Recorder(module.norm)
        for stage in module.stages:
            stage.blocks = nnx.List(stage.blocks)
        mixers = [_record_mixer(stage.blocks[-1]) for stage in module.stages]
        logits = module(images)
        evidence = last.output @ module.head.kernel[...]
        bias = module.head.bias[...].reshape((1,) * (evidence.ndim - 1) + (-1,))
        pairs = zip(mixers, config.reductions, strict=True)
        kernels, attention = zip(*(_mixer_views(*p) for p in pairs), strict=True)
        return Views(logits, kernels, attention, evidence + bias)

    return views


class _Recorder:
    """Stands in a module's place and records what goes in and what comes out."""

    def __init__(self, module: nnx.Module):
        self.module = module

    def __call__(self, *inputs: Any, **how: Any) -> Any:
        self.inputs = inputs
        self.output = self.module(*inputs, **how)
        return self.output


def _record_mixer(block):
    block.mixer = recorder = _Recorder(block.mixer)
    return recorder


def _mixer_views(recorder, reduction):
    """One mixer's dynamic kernels and attention, for the map it was called with."""
    x, position = recorder.inputs
    local, attended = jnp.split(x, 2, axis=-1)
    kernels, _ = recorder.module.local.kernels_of(local)
    weights = recorder.module.attention.weights(attended, position)
    sides = x.shape[1:3]
    reduced = (-(-side // reduction) for side in sides)
    return kernels, weights.reshape(*weights.shape[:2], *sides, *reduced)
