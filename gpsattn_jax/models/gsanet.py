"""GSA-ResNet: a bottleneck ResNet whose 3x3 convolutions are GSA modules.

Or whatever else `MIXERS` names: each group of blocks has its own.

"Global Self-Attention Networks for Image Recognition" (arXiv 2010.03019). The table of
layers and its parameter counts and FLOPs, which these networks have, are recollected:
there is no official repository to confirm them.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any

import chex
from flax import nnx

from gpsattn_jax.configs import Checked, Count, at_least, one_of
from gpsattn_jax.modules.attention_maps import attention_maps
from gpsattn_jax.modules.blocks import Blocks
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention
from gpsattn_jax.modules.layers import check_images, conv
from gpsattn_jax.modules.mixers import MIXERS, Mixer, make_mixer, takes
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.starts import drawn_together, normal

UNROLL = 6  # blocks; for a group of GSA-ResNet-50 a loop compiles no faster
STEMS = ("imagenet", "small", "patch")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """A GSA-ResNet; with `mixers` all "conv", the plain ResNet beside it.

    Attributes:
        layers: bottleneck blocks in each group.
        widths: bottleneck width of each group; a group's output is `expansion` wider.
        expansion: see `widths`.
        mixers: what mixes the pixels in each group's blocks, keys of `MIXERS`: "gsa",
            "conv" (3x3), "softmax", "content", "gated" (ConViT), "lambda", "axial"
            (Axial-DeepLab), "grid" (CoAtNet), or a name given to `build`.
        num_heads: heads of each attention.
        image_size: side of the images in pixels; sets the reach of the relative tables.
            Larger images run too: distances outside the tables then weigh 0.
        window: caps the tables (distances below it count); None is global attention.
        content: use the content branch.
        column: use the column stage of the positional branch.
        row: use the row stage of the positional branch.
        query_softmax: softmax over each query's channels in the content branch.
        balanced: start the positional branch small (see `GlobalSelfAttention`).
        stem: "imagenet" (7x7 stride 2, max-pool), "small" (3x3, no pooling) or "patch"
            (patch_size x patch_size, as its stride).
        patch_size: see `stem`.
        remat: compute each block's insides again in the backward pass, to save memory.
        in_channels: channels of the images.
        num_classes: classes; 0 for no head: the network then returns features [B, C].
        features_only: return each group's last map instead of logits.
    """

    layers: tuple[Count, ...] = (3, 4, 6, 3)
    widths: tuple[Count, ...] = (64, 128, 256, 512)
    expansion: Count = 4
    mixers: tuple[str, ...] = ("gsa", "gsa", "gsa", "gsa")
    num_heads: Count = 8
    image_size: Count = 224
    window: Annotated[int | None, at_least(1)] = None
    content: bool = True
    column: bool = True
    row: bool = True
    query_softmax: bool = False
    balanced: bool = True
    stem: Annotated[str, one_of(STEMS)] = "imagenet"
    patch_size: Count = 4
    remat: bool = False
    in_channels: Count = 3
    num_classes: Annotated[int, at_least(0)] = 1000
    features_only: bool = False

    def check_together(self) -> None:
        """Each group has its entries."""
        self.check_lengths(("widths", "mixers"), "layers", "groups")

    @staticmethod
    def upgrade(values: Mapping[str, Any]) -> dict[str, Any]:
        """Fields as older files have them -> as they are now.

        Until mixers had names, `attention` said which groups had GSA modules.
        """
        switches = values.get("attention")
        if not isinstance(switches, list | tuple):
            return dict(values)
        found = {name: value for name, value in values.items() if name != "attention"}
        return found | {"mixers": ["gsa" if on else "conv" for on in switches]}


VARIANTS = {
    "38": Config(layers=(2, 3, 5, 2)),
    "50": Config(),
    "101": Config(layers=(3, 4, 23, 3)),
    # Small images, ours: the paper has none. A 3x3 stem, no pooling, three groups.
    "32px": Config(
        layers=(3, 3, 3),
        widths=(32, 64, 128),
        mixers=("gsa",) * 3,
        image_size=32,
        stem="small",
        num_classes=100,
    ),
    # The same images as patches of 4x4: trains on two CPU cores in minutes.
    "32px_patches": Config(
        layers=(2, 2),
        widths=(32, 64),
        mixers=("gsa",) * 2,
        num_heads=4,
        image_size=32,
        stem="patch",
        num_classes=100,
    ),
    "8px": Config(
        layers=(2, 2),
        widths=(32, 64),
        expansion=2,
        mixers=("gsa",) * 2,
        num_heads=4,
        image_size=8,
        stem="small",
        in_channels=1,
        num_classes=10,
    ),
}


class Bottleneck(nnx.Module):
    """1x1, a mixer, 1x1, around a shortcut: [B, H, W, C] -> [B, H', W', C'].

    A stride of two is 2x2 average pooling after the mixer; one that takes a stride, as
    a 3x3 convolution does, strides by itself (as in torchvision).

    Args:
        in_channels: C.
        width: channels that the mixer sees.
        expansion: C' is so many times wider.
        stride: of rows and columns, 1 or 2.
        mixer: a value of `MIXERS`, or a user's own.
        options: what the mixer may take, see `mixer_options`.
        rngs: random streams for the initial values.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        expansion: int,
        stride: int,
        mixer: Mixer,
        options: Mapping[str, Any],
        rngs: nnx.Rngs,
    ):
        channels = expansion * width
        self.reduce = conv(in_channels, width, 1, rngs=rngs)
        self.reduce_norm = BatchNorm(width, rngs=rngs)
        options = {**options, "stride": stride}
        self.mix: Any = make_mixer(mixer, width, options, rngs=rngs)
        self.pool = stride > 1 and not takes(mixer, "stride")
        self.mix_norm = BatchNorm(width, rngs=rngs)
        self.expand = conv(width, channels, 1, rngs=rngs)
        self.expand_norm = BatchNorm(channels, scale=0.0, rngs=rngs)
        reshaped = stride > 1 or in_channels != channels
        self.shortcut = (
            conv(in_channels, channels, 1, stride=stride, rngs=rngs)
            if reshaped
            else None
        )
        self.shortcut_norm = BatchNorm(channels, rngs=rngs) if reshaped else None

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """[B, H, W, C] -> [B, H / stride, W / stride, expansion * width]."""
        out = nnx.relu(self.reduce_norm(self.reduce(x), train=train))
        out = self.mix(out, train=train, rngs=rngs)
        if self.pool:
            out = halve(out)
        out = nnx.relu(self.mix_norm(out, train=train))
        out = self.expand_norm(self.expand(out), train=train)
        if self.shortcut is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.shortcut(x), train=train)
        return nnx.relu(out + x)

    @property
    def has_maps(self) -> bool:
        """Whether the mixer is a GSA module, whose attention can be drawn."""
        return isinstance(self.mix, GlobalSelfAttention)

    def maps(self, x: chex.Array, at: tuple[float, float]) -> dict[str, chex.Array]:
        """The module's attention maps at a point of the image, in evaluation."""
        place = [
            int(share * side) for share, side in zip(at, x.shape[1:3], strict=True)
        ]
        reduced = nnx.relu(self.reduce_norm(self.reduce(x)))
        return attention_maps(self.mix, reduced, *place)


class GSAResNet(nnx.Module):
    """The network: [B, H, W, in_channels] -> logits [B, num_classes]."""

    def __init__(
        self, config: Config, mixers: Mapping[str, Mixer] = MIXERS, *, rngs: nnx.Rngs
    ):
        channels = config.widths[0]
        self.stem = _stem(config, channels, rngs)
        self.stem_norm = BatchNorm(channels, rngs=rngs)
        self.in_channels = config.in_channels
        self.max_pool = config.stem == "imagenet"
        self.remat = config.remat
        shrink = {"imagenet": 4, "small": 1, "patch": config.patch_size}[config.stem]
        side = -(-config.image_size // shrink)
        blocks: list[tuple] = []
        for group, width in enumerate(config.widths):
            for layer in range(config.layers[group]):
                stride = 2 if group > 0 and layer == 0 else 1
                blocks.append((group, channels, side, stride))
                channels = config.expansion * width
                side = -(-side // stride)
        make = functools.partial(_make_block, config, mixers)
        self.blocks = Blocks(make, blocks, unroll=UNROLL, rngs=rngs)
        self.ends = [
            sum(config.layers[:group]) for group in range(1, 1 + len(config.layers))
        ]
        self.features_only = config.features_only
        if config.features_only or not config.num_classes:
            self.head = None
            return
        self.head = nnx.Linear(
            channels,
            config.num_classes,
            kernel_init=normal(0.01),
            rngs=rngs,
        )

    def __call__(
        self,
        images: chex.Array,
        *,
        attention_at: tuple[float, float] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Any:
        """[B, H, W, in_channels], normalised -> logits [B, num_classes].

        With `attention_at`, a point as (down, right) in shares of the image, also the
        attention maps of every GSA module at that point: (logits, {block: maps}), maps
        as `attention_maps` gives them. With `num_classes` 0, features [B, C] instead of
        logits; with `features_only` the tuple of each group's map [B, H, W, C].
        """
        check_images(images, self.in_channels)
        x = nnx.relu(self.stem_norm(self.stem(images), train=train))
        if self.max_pool:
            x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        maps, outputs = {}, []
        if train and attention_at is None:
            for stack in self.blocks.stacks():
                x = stack(x, train=True, rngs=rngs, remat=self.remat)
                if stack.numbers.stop in self.ends:
                    outputs.append(x)
        else:
            blocks: Any = list(self.blocks)
            for place, block in enumerate(blocks):
                if attention_at is not None and block.has_maps:
                    maps[place] = block.maps(x, attention_at)
                x = block(x, train=train, rngs=rngs)
                if place + 1 in self.ends:
                    outputs.append(x)
            if train:
                self.blocks.keep_statistics(blocks)
        result: Any = x.mean(axis=(1, 2))
        if self.features_only:
            result = tuple(outputs)
        elif self.head is not None:
            result = self.head(result)
        return result if attention_at is None else (result, maps)


def _make_block(config, mixers, group, channels, side, stride, *, rngs):
    return Bottleneck(
        channels,
        config.widths[group],
        expansion=config.expansion,
        stride=stride,
        mixer=mixers[config.mixers[group]],
        options=mixer_options(config, side),
        rngs=rngs,
    )


def _stem(config, channels, rngs):
    if config.stem == "patch":
        size = config.patch_size
        return conv(
            config.in_channels, channels, size, stride=size, padding=0, rngs=rngs
        )
    size, stride = (7, 2) if config.stem == "imagenet" else (3, 1)
    return conv(config.in_channels, channels, size, stride=stride, rngs=rngs)


def build(config: Config, mixers: Mapping[str, Mixer] = MIXERS) -> Functional:
    """Config -> a network; the same one for equal arguments, so that it compiles once.

    It is called as `apply(params, state, images [B, H, W, C]) -> (logits, state)`.

    Args:
        config: of the network.
        mixers: what the names in `config.mixers` mean. A new one is
            `MIXERS | {"mine": Mine}`, with `Mine(channels, rngs=…)` a module that maps
            [B, H, W, C] to the same; of what `mixer_options` lists, and of `stride`, it
            gets what its signature names.

    Raises:
        ValueError: if a name in `config.mixers` is unknown.
    """
    check_mixers(config, mixers)
    return _build(config, tuple(mixers.items()))


@functools.cache
def _build(config, mixers):
    make = functools.partial(GSAResNet, config, dict(mixers))
    return Functional(functools.partial(drawn_together, make), config)


def check_mixers(config: Config, mixers: Mapping[str, Mixer] = MIXERS) -> None:
    """Raises ValueError if a name in `config.mixers` is none of the mixers."""
    unknown = [name for name in config.mixers if name not in mixers]
    if unknown:
        raise ValueError(
            f"mixers must be among {', '.join(mixers)}; got {unknown[0]!r}."
        )


def mixer_options(config: Config, side: int) -> dict[str, Any]:
    """What a mixer may take, on a map of `side` x `side` pixels."""
    return {
        "side": side,
        "num_heads": config.num_heads,
        "window": side if config.window is None else min(side, config.window),
        "content": config.content,
        "column": config.column,
        "row": config.row,
        "query_softmax": config.query_softmax,
        "balanced": config.balanced,
    }


def halve(x: chex.Array) -> chex.Array:
    """2x2 average pooling; an odd last row or column is averaged over what is there."""
    pooled = nnx.avg_pool(
        x, (2, 2), strides=(2, 2), padding="SAME", count_include_pad=False
    )
    return pooled.astype(x.dtype)  # the counts are float32
