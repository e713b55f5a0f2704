"""TransXNet's network: a stem, stages of blocks, a head."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.models.transxnet.config import NORMS, Config
from gpsattn_jax.models.transxnet.tables import fit_table
from gpsattn_jax.modules.blocks import Blocks
from gpsattn_jax.modules.dual_mixer import DualMixer
from gpsattn_jax.modules.feedforward import MultiScaleFeedForward
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.layers import (
    DepthwiseConv,
    LayerScale,
    PatchEmbed,
    check_images,
    drop_path,
)
from gpsattn_jax.modules.norms import GroupNorm
from gpsattn_jax.modules.starts import START, drawn_together


class Block(nnx.Module):
    """Place, mix tokens, mix channels, each a residual: [B, H, W, C] -> same.

    Args:
        config: the network's.
        stage: number of the stage.
        rngs: random streams for the initial values.
    """

    def __init__(self, config: Config, stage: int, *, rngs: nnx.Rngs):
        channels = config.widths[stage]
        norm = NORMS[config.norm]
        self.place = DepthwiseConv(channels, 7, rngs=rngs)
        self.mixer_norm = norm(channels, rngs=rngs)
        self.mixer = DualMixer(
            channels,
            kernel_size=config.kernel_sizes[stage],
            num_groups=config.num_groups[stage],
            num_heads=config.num_heads[stage],
            reduction=config.reductions[stage],
            scale=config.scale,
            rngs=rngs,
        )
        self.feedforward_norm = norm(channels, rngs=rngs)
        self.feedforward = MultiScaleFeedForward(
            channels,
            int(config.mlp_ratios[stage] * channels),
            dropout=config.dropout,
            rngs=rngs,
        )
        start = config.layer_scale
        self.mixer_scale, self.feedforward_scale = (
            None if start is None else LayerScale(channels, start, rngs=rngs)
            for _ in range(2)
        )

    def __call__(
        self,
        x: jax.Array,
        position: jax.Array | None = None,
        rate: float | jax.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Mixes.

        Args:
            x: [B, H, W, C].
            position: optional [N, H W, S], added to the attention's logits.
            rate: share of examples that skip a branch in training.
            train: updates the statistics of the norms and draws what is dropped.
            rngs: random streams for that.
        """
        how: dict[str, Any] = {"train": train, "rngs": rngs}
        x = x + self.place(x)
        branch = self.mixer(self.mixer_norm(x, train=train), position, **how)
        x = x + drop_path(_scale_branch(self.mixer_scale, branch), rate, **how)
        branch = self.feedforward(self.feedforward_norm(x, train=train), **how)
        return x + drop_path(_scale_branch(self.feedforward_scale, branch), rate, **how)


class Stage(nnx.Module):
    """Blocks that share one table of positions: [B, H, W, C] -> same.

    Args:
        config: the network's.
        stage: its number.
        rngs: random streams for the initial values.
    """

    def __init__(self, config: Config, stage: int, *, rngs: nnx.Rngs):
        side = config.image_size
        rows, columns, *reduced = self.grid = config.grids(side, side)[stage]
        self.reduction = config.reductions[stage]
        self.table_resize = config.table_resize
        shape = (config.num_heads[stage], rows * columns, math.prod(reduced))
        self.position = nnx.Param(jnp.zeros(shape))
        before, last = sum(config.depths[:stage]), max(1, sum(config.depths) - 1)
        blocks = range(config.depths[stage])
        self.rates = tuple(config.drop_path * (before + n) / last for n in blocks)
        self.blocks = Blocks(Block, [(config, stage)] * len(blocks), rngs=rngs)
        self.remat = config.remat[stage]

    def __call__(
        self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """The table is fitted to the map once.

        Args:
            x: [B, H, W, C].
            train: updates the statistics of the norms and draws what is dropped.
            rngs: random streams for that.
        """
        rows, columns = x.shape[1:3]
        reduced = [-(-side // self.reduction) for side in (rows, columns)]
        grid = (rows, columns, reduced[0], reduced[1])
        position = fit_table(self.position[...], self.grid, grid, self.table_resize)
        if not train:
            for block in self.blocks:
                x = block(x, position)
            return x
        rates = jnp.asarray(self.rates) if any(self.rates) else None
        how: dict[str, Any] = {"train": train, "rngs": rngs, "remat": self.remat}
        for stack in self.blocks.stacks():
            x = stack(x, position, each=rates, **how)
        return x


class TransXNet(nnx.Module):
    """The network: [B, H, W, in_channels] -> logits [B, num_classes]."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        widths = config.widths
        self.stem = PatchEmbed(
            config.in_channels, widths[0], kernel_size=7, stride=4, rngs=rngs
        )
        self.stages = nnx.List(
            Stage(config, stage, rngs=rngs) for stage in range(len(widths))
        )
        self.downsamples = nnx.List(
            PatchEmbed(before, after, rngs=rngs)
            for before, after in zip(widths, widths[1:], strict=False)
        )
        if config.features_only:
            self.feature_norms = nnx.List(GroupNorm(w, rngs=rngs) for w in widths)
            return
        self.norm = GroupNorm(widths[-1], rngs=rngs)
        if not config.num_classes:
            self.head = None
            return
        self.head = nnx.Linear(
            widths[-1], config.num_classes, kernel_init=START, rngs=rngs
        )

    def __call__(
        self,
        images: jax.Array,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Any:
        """Normalised images -> logits [B, num_classes].

        With `features_only`: the tuple of each stage's map [B, H / 4, W / 4, widths[0]]
        to [B, H / 32, W / 32, widths[3]], sizes rounded up.

        Args:
            images: [B, H, W, in_channels].
            train: updates the statistics of the norms and draws what is dropped.
            rngs: random streams for that.

        Raises:
            ValueError: if the images are no normalised [B, H, W, in_channels], or
                smaller than the network's stride.
        """
        _check(images, self.config)
        x, features = self.stem(images, train=train), []
        for place, stage in enumerate(self.stages):
            x = stage(x, train=train, rngs=rngs)
            if self.config.features_only:
                features.append(self.feature_norms[place](x, train=train))
            if place < len(self.downsamples):
                x = self.downsamples[place](x, train=train)
        if self.config.features_only:
            return tuple(features)
        x = self.norm(x, train=train).mean(axis=(1, 2))
        return x if self.head is None else self.head(x)


@functools.cache
def build(config: Config) -> Functional:
    """Config -> a network; the same one for equal configs, so that it compiles once.

    It is called as `apply(params, state, images [B, H, W, C]) -> (logits, state)`.
    """
    make = functools.partial(TransXNet, config)
    return Functional(functools.partial(drawn_together, make), config)


def _scale_branch(scale, branch):
    return branch if scale is None else scale(branch)


def _check(images, config):
    check_images(images, config.in_channels)
    shape = images.shape
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            "images must be floating-point and normalised (0..1, minus the mean, over "
            f"the deviation); got {images.dtype}."
        )
    if min(shape[1:3]) < config.stride:
        raise ValueError(
            f"images must be at least {config.stride} x {config.stride} pixels, the "
            f"network's stride; got {shape[1]} x {shape[2]}."
        )
