"""TransXNet: a backbone of blocks that attend and convolve, each in its own way.

"TransXNet: Learning Both Global and Local Dynamics with a Dual Dynamic Token Mixer for
Visual Recognition" (arXiv 2310.19380); exact to the official code's
(LMMMEng/TransXNet) outputs, gradients and batch statistics.
"""

import dataclasses
import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.kernels import resize_bicubic
from gpsattn_jax.modules.dual_mixer import DualMixer
from gpsattn_jax.modules.feedforward import MultiScaleFeedForward
from gpsattn_jax.modules.functional import Functional, rematerialize, scan_modules
from gpsattn_jax.modules.layers import (
    START,
    DepthwiseConv,
    LayerScale,
    PatchEmbed,
    drop_path,
)
from gpsattn_jax.modules.norms import BatchNorm, GroupNorm

NORMS = {"group": GroupNorm, "batch": BatchNorm}
RESIZES = ("flat", "grid")
PER_STAGE = (
    "widths",
    "num_heads",
    "num_groups",
    "kernel_sizes",
    "reductions",
    "mlp_ratios",
    "remat",
)

# Longer stages are compiled as one block in training: half the time to the first step.
UNROLLED = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A TransXNet; the defaults are the published tiny one.

    Attributes:
        depths: blocks in each stage.
        widths: channels of each stage, even.
        num_heads: heads of the attention in each stage.
        num_groups: groups of kernels of the dynamic convolutions in each stage.
        kernel_sizes: of the dynamic convolutions in each stage, odd.
        reductions: spatial reduction of the attention's keys in each stage.
        mlp_ratios: hidden width of the feed-forward net, in widths, in each stage.
        image_size: side of the images in pixels; sets the sizes of the position
            tables. Images of other sizes run too: the tables are then resized.
        table_resize: how: "flat" (the official way, as a plane of tokens by reduced
            tokens) or "grid" (along the rows and columns of both).
        norm: before the mixer and the feed-forward net: "group" or "batch".
        layer_scale: initial factor of the residual branches; None for no layer scale.
        scale: factor on the attention's logits; 1 / sqrt(head width) if None.
        drop_path: share of examples whose branch is dropped in the last block; grows
            linearly from 0 over all blocks.
        dropout: rate inside the feed-forward nets.
        features_only: return the four stages' maps, each normalised, instead of logits.
        remat: stages whose blocks' insides the backward pass computes again, to save
            memory; the first stages hold the most.
        in_channels: channels of the images.
        num_classes: classes.
    """

    depths: tuple[int, ...] = (3, 3, 9, 3)
    widths: tuple[int, ...] = (48, 96, 224, 448)
    num_heads: tuple[int, ...] = (1, 2, 4, 8)
    num_groups: tuple[int, ...] = (2, 2, 2, 2)
    kernel_sizes: tuple[int, ...] = (7, 7, 7, 7)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    mlp_ratios: tuple[float, ...] = (4, 4, 4, 4)
    image_size: int = 224
    table_resize: str = "flat"
    norm: str = "group"
    layer_scale: float | None = 1e-5
    scale: float | None = None
    drop_path: float = 0.1
    dropout: float = 0.0
    features_only: bool = False
    remat: tuple[bool, ...] = (False, False, False, False)
    in_channels: int = 3
    num_classes: int = 1000

    def __post_init__(self) -> None:
        """Checks the fields against each other."""
        for name in PER_STAGE:
            if len(getattr(self, name)) != len(self.depths):
                raise ValueError(
                    f"{name} must have one entry for each of the {len(self.depths)} "
                    f"stages of depths={self.depths}; got {getattr(self, name)}."
                )
        for name, choices in (("norm", tuple(NORMS)), ("table_resize", RESIZES)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}; "
                    f"got {getattr(self, name)!r}."
                )
        for width, heads in zip(self.widths, self.num_heads, strict=True):
            if width % (2 * heads):
                raise ValueError(
                    "widths must be multiples of twice num_heads="
                    f"{self.num_heads}; got {self.widths}."
                )
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd; got {self.kernel_sizes}.")
        if any(reduction > 1 and reduction % 2 for reduction in self.reductions):
            raise ValueError(f"reductions must be 1 or even; got {self.reductions}.")
        if self.image_size < self.stride:
            raise ValueError(
                f"image_size must be at least {self.stride}, the network's stride; "
                f"got {self.image_size}."
            )

    @property
    def stride(self) -> int:
        """Pixels of the image for one of the last map."""
        return 4 * 2 ** (len(self.depths) - 1)

    def grids(self, height: int, width: int) -> list[tuple[int, int, int, int]]:
        """Each stage's (rows, columns) and reduced (rows, columns) for an image."""
        found = []
        for stage, reduction in enumerate(self.reductions):
            sides = [-(-side // (4 * 2**stage)) for side in (height, width)]
            found.append((*sides, *(-(-side // reduction) for side in sides)))
        return found


VARIANTS = {
    "tiny": Config(),
    "small": Config(
        depths=(4, 4, 12, 4),
        widths=(64, 128, 320, 512),
        num_heads=(1, 2, 5, 8),
        num_groups=(2, 2, 3, 4),
        mlp_ratios=(6, 6, 4, 4),
        drop_path=0.2,
    ),
    "base": Config(
        depths=(4, 4, 21, 4),
        widths=(76, 152, 336, 672),
        num_heads=(2, 4, 8, 16),
        num_groups=(2, 2, 4, 4),
        mlp_ratios=(8, 8, 4, 4),
        drop_path=0.4,
    ),
}


class Block(nnx.Module):
    """Place, mix tokens, mix channels, each a residual: [B, H, W, C] -> same."""

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
        """`position` [N, H W, S] is added to the logits; `rate` is the drop path's."""
        how: dict[str, Any] = {"train": train, "rngs": rngs}
        x = x + self.place(x)
        branch = self.mixer(self.mixer_norm(x, train=train), position, **how)
        x = x + drop_path(_scaled(self.mixer_scale, branch), rate, **how)
        branch = self.feedforward(self.feedforward_norm(x, train=train), **how)
        return x + drop_path(_scaled(self.feedforward_scale, branch), rate, **how)


class Stage(nnx.Module):
    """Blocks that share one table of positions: [B, H, W, C] -> same."""

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
        self.blocks = nnx.List(Block(config, stage, rngs=rngs) for _ in blocks)
        self.remat = config.remat[stage]

    def __call__(
        self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """[B, H, W, C] -> same; the table is fitted to the map once."""
        rows, columns = x.shape[1:3]
        reduced = [-(-side // self.reduction) for side in (rows, columns)]
        grid = (rows, columns, reduced[0], reduced[1])
        position = fit_table(self.position[...], self.grid, grid, self.table_resize)
        how: dict[str, Any] = {"train": train, "rngs": rngs}
        if train and len(self.blocks) > UNROLLED:
            rates = jnp.asarray(self.rates) if any(self.rates) else None
            how |= {"each": rates, "remat": self.remat}
            return scan_modules(self.blocks, x, position, **how)
        for block, rate in zip(self.blocks, self.rates, strict=True):
            run = functools.partial(rematerialize, block) if self.remat else block
            x = run(x, position, rate or None, **how)
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
        return self.head(self.norm(x, train=train).mean(axis=(1, 2)))


@functools.cache
def build(config: Config) -> Functional:
    """Config -> a network; the same one for equal configs, so that it compiles once.

    It is called as `apply(params, state, images [B, H, W, C]) -> (logits, state)`.
    """
    return Functional(functools.partial(_make, config))


def _make(config, rngs):
    network = TransXNet(config, rngs=rngs)
    draw_together(network, rngs.params())
    return network


def draw_together(network: TransXNet, key: jax.Array) -> None:
    """Starts all kernels from one draw: hundreds of draws take a minute to compile.

    Kernels, and the dynamic convolutions' groups of biases, are normal(0.02). What the
    parts drew for themselves is then unused, and compiled away.
    """
    params = nnx.state(network, nnx.Param)
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    drawn = [_is_drawn(path, leaf) for path, leaf in leaves]
    sizes = [
        leaf.size * chosen for (_, leaf), chosen in zip(leaves, drawn, strict=True)
    ]
    # The barrier: otherwise each kernel would make the whole draw again.
    numbers = jax.lax.optimization_barrier(START(key, (sum(sizes),)))
    places = itertools.accumulate(sizes, initial=0)
    started = [
        numbers[place : place + leaf.size].reshape(leaf.shape) if chosen else leaf
        for (_, leaf), chosen, place in zip(leaves, drawn, places, strict=False)
    ]
    nnx.update(network, jax.tree.unflatten(tree, started))


def _is_drawn(path, leaf):
    names = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
    name = next(name for name in reversed(names) if not name.startswith("value"))
    return name in ("kernel", "kernels") or (name == "bias" and leaf.ndim > 1)


def resize_tables(
    config: Config, params: dict, height: int, width: int | None = None
) -> dict:
    """Position tables for another size of image, so that no call resizes them.

    Args:
        config: what `params` belong to.
        params: as from `init`.
        height: of the images, in pixels.
        width: likewise; the height if None.

    Returns:
        Parameters for images of that size; for square ones they also are those of
        `dataclasses.replace(config, image_size=height)`.
    """
    side, width = config.image_size, height if width is None else width
    grids = zip(config.grids(side, side), config.grids(height, width), strict=True)
    stages = {
        place: stage
        | {"position": fit_table(stage["position"], *grid, config.table_resize)}
        for (place, stage), grid in zip(
            sorted(params["stages"].items()), grids, strict=True
        )
    }
    return params | {"stages": stages}


def fit_table(
    table: jax.Array,
    grid: tuple[int, int, int, int],
    wanted: tuple[int, int, int, int],
    how: str,
) -> jax.Array:
    """A table of positions [N, T, S] for a map of another size.

    Args:
        table: for `grid`, or already for `wanted`.
        grid: rows, columns, reduced rows and columns that it was made for.
        wanted: those of the map.
        how: "flat" or "grid", see `Config.table_resize`.
    """
    shape = (wanted[0] * wanted[1], wanted[2] * wanted[3])
    if table.shape[1:] == shape:
        return table
    if how == "flat":
        return resize_bicubic(table, (len(table), *shape))
    planes = table.reshape(len(table), *grid)
    return resize_bicubic(planes, (len(table), *wanted)).reshape(-1, *shape)


def _scaled(scale, branch):
    return branch if scale is None else scale(branch)


def _check(images, config):
    shape, channels = images.shape, config.in_channels
    if len(shape) != 4 or shape[-1] != channels:
        raise ValueError(f"images must be [B, H, W, {channels}]; got {shape}.")
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
