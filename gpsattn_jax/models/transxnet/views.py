"""What a TransXNet does with its images, for pictures: kernels, attention, evidence."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.models import transxnet


class Views(NamedTuple):
    """What was seen inside, of B images.

    Attributes:
        logits: [B, num_classes].
        kernels: for each stage, the kernels [B, K, K, C / 2] that one block's dynamic
            convolution makes of each image.
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
def viewer(config: transxnet.Config, block: int = -1) -> Any:
    """A compiled function (params, state, images [B, H, W, C]) -> `Views`.

    Args:
        config: of the network, with a head.
        block: which block of each stage is looked into.

    Raises:
        ValueError: for a network without a head.
    """
    if config.features_only:
        raise ValueError("features_only must be False for views of the decision.")
    # What is computed again in the backward pass cannot be looked into.
    config = dataclasses.replace(config, remat=(False,) * len(config.depths))
    graphdef = transxnet.build(config).graphdef

    @jax.jit
    def views(params, state, images):
        module = nnx.merge(graphdef, params, state)
        module.norm = last = _Noted(module.norm)
        mixers = [_note_mixer(stage.blocks[block]) for stage in module.stages]
        logits = module(images)
        evidence = last.output @ module.head.kernel[...]
        bias = module.head.bias[...].reshape((1,) * (evidence.ndim - 1) + (-1,))
        seen = [_look(*pair) for pair in zip(mixers, config.reductions, strict=True)]
        kernels, attention = zip(*seen, strict=True)
        return Views(logits, kernels, attention, evidence + bias)

    return views


class _Noted:
    """Stands in a module's place and notes what goes in and what comes out."""

    def __init__(self, module: nnx.Module):
        self.module = module

    def __call__(self, *inputs: Any, **how: Any) -> Any:
        self.inputs = inputs
        self.output = self.module(*inputs, **how)
        return self.output


def _note_mixer(block):
    block.mixer = noted = _Noted(block.mixer)
    return noted


def _look(noted, reduction):
    """One mixer's dynamic kernels and attention, for the map it was called with."""
    x, position = noted.inputs
    local, attended = jnp.split(x, 2, axis=-1)
    kernels, _ = noted.module.local.kernels_of(local)
    weights = noted.module.attention.weights(attended, position)
    sides = x.shape[1:3]
    reduced = (-(-side // reduction) for side in sides)
    return kernels, weights.reshape(*weights.shape[:2], *sides, *reduced)
