"""Semantic FPN: a class for each pixel, from the stage maps of any backbone.

"Panoptic Feature Pyramid Networks" (arXiv 1901.02446), as mmsegmentation's `FPN` neck
and `FPNHead` compute it; TransXNet's segmentation results are of this head.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Annotated, Any

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.configs import Checked, Count, Share, one_of, within
from gpsattn_jax.models import transxnet
from gpsattn_jax.models.gsanet import Config as GSAResNetConfig
from gpsattn_jax.models.gsanet import GSAResNet, check_mixers
from gpsattn_jax.models.transxnet import Config as TransXNetConfig
from gpsattn_jax.models.transxnet import TransXNet
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.layers import conv
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.resizing import resize_bilinear, resize_nearest
from gpsattn_jax.modules.starts import LECUN, drawn_together, normal

BACKBONES = ("transxnet", "gsanet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """A Semantic FPN over one of two backbones.

    Attributes:
        backbone: whose stage maps are taken: transxnet or gsanet (with mixers "conv"
            the plain ResNet).
        transxnet: the backbone, if it is that one; num_classes plays no part in it.
        gsanet: likewise.
        channels: of each map of the pyramid.
        head_channels: of the head's convolutions.
        dropout: share of an image's channels that are dropped before the classifier.
        num_classes: classes of a pixel.
    """

    backbone: Annotated[str, one_of(BACKBONES)] = "transxnet"
    transxnet: TransXNetConfig = TransXNetConfig(features_only=True)
    gsanet: GSAResNetConfig = GSAResNetConfig(mixers=("conv",) * 4, features_only=True)
    channels: Count = 256
    head_channels: Count = 128
    dropout: Share = 0.1
    num_classes: Annotated[int, within("[2, 255]")] = 150

    def check_together(self) -> None:
        """The backbone is one, and gives its maps."""
        check_mixers(self.gsanet)
        if not self.maps.features_only:
            self.refuse(f"{self.backbone}.features_only", "be True")

    @property
    def maps(self) -> Any:
        """The settings of the chosen backbone."""
        return getattr(self, self.backbone)

    @property
    def image_size(self) -> int:
        """Side of the images in pixels that the backbone is made for."""
        return self.maps.image_size

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return self.maps.in_channels


# TransXNet's published sizes under the head of its segmentation results.
VARIANTS = {
    name: Config(transxnet=dataclasses.replace(config, features_only=True))
    for name, config in transxnet.VARIANTS.items()
}


class Pyramid(nnx.Module):
    """Maps of halving sizes -> maps of one width, each with what is below it added.

    Args:
        widths: channels of each map, the largest map first.
        channels: of the results.
        rngs: random streams for the initial values.
    """

    def __init__(self, widths: Sequence[int], channels: int, *, rngs: nnx.Rngs):
        make = functools.partial(conv, use_bias=True, start=LECUN, rngs=rngs)
        self.laterals = nnx.List(make(width, channels, 1) for width in widths)
        self.outputs = nnx.List(make(channels, channels, 3) for _ in widths)

    def __call__(self, maps: Sequence[chex.Array]) -> list[chex.Array]:
        """[B, H, W, width] each -> [B, H, W, channels] each."""
        found = [layer(x) for layer, x in zip(self.laterals, maps, strict=True)]
        for place in reversed(range(len(found) - 1)):
            size = found[place].shape[1:3]
            found[place] = found[place] + resize_nearest(found[place + 1], size)
        return [layer(x) for layer, x in zip(self.outputs, found, strict=True)]


class ConvNorm(nnx.Module):
    """A 3x3 convolution, a batch norm and a ReLU: [B, H, W, C] -> [B, H, W, C'].

    Args:
        in_channels: C.
        channels: C'.
        rngs: random streams for the initial values.
    """

    def __init__(self, in_channels: int, channels: int, *, rngs: nnx.Rngs):
        self.conv = conv(in_channels, channels, 3, rngs=rngs)
        self.norm = BatchNorm(channels, rngs=rngs)

    def __call__(self, x: chex.Array, *, train: bool = False) -> chex.Array:
        """Training updates the norm's statistics."""
        return nnx.relu(self.norm(self.conv(x), train=train))


class SemanticFPN(nnx.Module):
    """The network: [B, H, W, in_channels] -> logits [B, H, W, num_classes].

    Args:
        backbone: images -> maps, each half as high and wide as the one before.
        widths: channels of the maps.
        channels: see `Config`, as are the three after it.
        head_channels: likewise.
        dropout: likewise.
        num_classes: likewise.
        rngs: random streams for the initial values.
    """

    def __init__(
        self,
        backbone: nnx.Module,
        widths: Sequence[int],
        *,
        channels: int,
        head_channels: int,
        dropout: float,
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        self.backbone: Any = backbone
        self.neck = Pyramid(widths, channels, rngs=rngs)
        self.scales = nnx.List(
            nnx.List(
                ConvNorm(channels if first else head_channels, head_channels, rngs=rngs)
                for first in [True] + [False] * (stage - 1)
            )
            for stage in range(len(widths))
        )
        self.head = conv(
            head_channels, num_classes, 1, use_bias=True, start=normal(0.01), rngs=rngs
        )
        self.dropout = dropout

    def __call__(
        self,
        images: chex.Array,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Normalised images -> logits of each pixel.

        Args:
            images: [B, H, W, in_channels].
            train: updates the statistics of the norms and draws what is dropped.
            rngs: random streams for that.

        Returns:
            [B, H, W, num_classes].
        """
        maps = self.neck(self.backbone(images, train=train, rngs=rngs))
        size, parts = maps[0].shape[1:3], []
        for place, (x, layers) in enumerate(zip(maps, self.scales, strict=True)):
            for layer in layers:
                x = layer(x, train=train)
                if place:
                    x = resize_bilinear(x, (2 * x.shape[1], 2 * x.shape[2]))
            parts.append(resize_bilinear(x, size))
        total = functools.reduce(jnp.add, parts)
        total = _drop_channels(total, self.dropout, train, rngs)
        return resize_bilinear(self.head(total), images.shape[1:3])


@functools.cache
def build(config: Config) -> Functional:
    """Config -> a network; the same one for equal configs, so that it compiles once.

    It is called as `apply(params, state, images [B, H, W, C]) -> (logits, state)`.
    """
    make = functools.partial(_make, config)
    return Functional(functools.partial(drawn_together, make), config)


def _make(config, *, rngs):
    maps = config.maps
    make: Any = TransXNet if config.backbone == "transxnet" else GSAResNet
    return SemanticFPN(
        make(maps, rngs=rngs),
        [getattr(maps, "expansion", 1) * width for width in maps.widths],
        channels=config.channels,
        head_channels=config.head_channels,
        dropout=config.dropout,
        num_classes=config.num_classes,
        rngs=rngs,
    )


def _drop_channels(x, rate, train, rngs):
    """Whole channels of an image become zeros, as PyTorch's `Dropout2d`."""
    if not train or not rate:
        return x
    if rngs is None:
        raise ValueError("dropout needs a random key in training: rng=….")
    shape = (x.shape[0], 1, 1, x.shape[3])
    keep = jax.random.bernoulli(rngs.dropout(), 1 - rate, shape)
    return jnp.where(keep, x / (1 - rate), 0)
