"""EfficientNet-Lite: a small convolutional network, here for features of video frames.

EfficientNet (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6 for swish;
the sizes and the TensorFlow padding are those of the public Lite networks
(tensorflow/tpu, models/official/efficientnet/lite).
"""

import dataclasses
import functools
from typing import Annotated

import chex
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.configs import Checked, Count, Rule
from gpsattn_jax.kernels import depthwise_conv
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.layers import DepthwiseConv
from gpsattn_jax.modules.norms import BatchNorm
from gpsattn_jax.modules.starts import HE_FAN_OUT

PER_STAGE = ("depths", "widths", "kernel_sizes", "strides", "expansions")
EPSILON = 1e-3
ODD = Rule(lambda size: size > 0 and size % 2 == 1, "be odd")
ONE_OR_TWO = Rule((1, 2).__contains__, "be 1 or 2")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """An EfficientNet-Lite; the defaults are Lite0.

    Attributes:
        depths: blocks in each stage.
        widths: channels of each stage.
        kernel_sizes: of the depthwise convolutions in each stage, odd.
        strides: of the first block of each stage, 1 or 2.
        expansions: width inside a block, in widths of what comes in.
        stem_width: channels of the first convolution.
        head_width: channels of the last one; the length of the features.
        image_size: side of the images in pixels; others run too.
        features_only: return the features instead of logits.
        in_channels: channels of the images.
        num_classes: classes.
    """

    depths: tuple[Count, ...] = (1, 2, 2, 3, 3, 4, 1)
    widths: tuple[Count, ...] = (16, 24, 40, 80, 112, 192, 320)
    kernel_sizes: tuple[Annotated[int, ODD], ...] = (3, 3, 5, 3, 5, 5, 3)
    strides: tuple[Annotated[int, ONE_OR_TWO], ...] = (1, 2, 2, 2, 1, 2, 1)
    expansions: tuple[Count, ...] = (1, 6, 6, 6, 6, 6, 6)
    stem_width: Count = 32
    head_width: Count = 1280
    image_size: Count = 224
    features_only: bool = False
    in_channels: Count = 3
    num_classes: Count = 1000

    def check_together(self) -> None:
        """Each stage has all its entries."""
        self.check_lengths(PER_STAGE, "depths", "stages")


VARIANTS = {"lite0": Config()}


class SameDepthwiseConv(DepthwiseConv):
    """A depthwise convolution, padded as TensorFlow's `SAME`.

    [B, H, W, C] -> [B, H', W', C] with H' = ceil(H / stride).
    """

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Padded by as little as needed; the odd row and column of zeros is behind.

        Args:
            x: [B, H, W, C].
            train: unused; every module takes it.
            rngs: likewise.
        """
        kernel = self.kernel[...]
        around = same_padding(x.shape[1:3], len(kernel), self.stride)
        x = jnp.pad(x, ((0, 0), *around, (0, 0)))
        return depthwise_conv(x, kernel, stride=self.stride, padding=0)


class Block(nnx.Module):
    """Widen, convolve each channel, narrow: [B, H, W, C] -> [B, H', W', C'].

    "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv 1801.04381).

    Args:
        in_channels: C.
        channels: C'.
        kernel_size: of the depthwise convolution.
        stride: likewise.
        expansion: width inside, in C; nothing is widened for 1.
        rngs: random streams for the initial values.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        *,
        stride: int,
        expansion: int,
        rngs: nnx.Rngs,
    ):
        inside = expansion * in_channels
        widens = expansion > 1
        self.expand = _linear(in_channels, inside, rngs) if widens else None
        self.expand_norm = _norm(inside, rngs) if widens else None
        self.mix = SameDepthwiseConv(
            inside, kernel_size, stride=stride, use_bias=False, rngs=rngs
        )
        self.mix_norm = _norm(inside, rngs)
        self.project = _linear(inside, channels, rngs)
        self.project_norm = _norm(channels, rngs)
        self.residual = stride == 1 and in_channels == channels

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """A residual where the shapes allow it.

        Args:
            x: [B, H, W, C].
            train: updates the statistics of the norms.
            rngs: unused; every module takes it.
        """
        out = x
        if self.expand is not None and self.expand_norm is not None:
            out = nnx.relu6(self.expand_norm(self.expand(out), train=train))
        out = nnx.relu6(self.mix_norm(self.mix(out), train=train))
        out = self.project_norm(self.project(out), train=train)
        return x + out if self.residual else out


class EfficientNetLite(nnx.Module):
    """The network: images -> features, and logits."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        channels = config.stem_width
        self.stem = nnx.Conv(
            config.in_channels,
            channels,
            (3, 3),
            strides=2,
            padding="SAME",
            use_bias=False,
            kernel_init=HE_FAN_OUT,
            rngs=rngs,
        )
        self.stem_norm = _norm(channels, rngs)
        blocks = []
        for stage, depth in enumerate(config.depths):
            for number in range(depth):
                blocks.append(
                    Block(
                        channels,
                        config.widths[stage],
                        config.kernel_sizes[stage],
                        stride=config.strides[stage] if number == 0 else 1,
                        expansion=config.expansions[stage],
                        rngs=rngs,
                    )
                )
                channels = config.widths[stage]
        self.blocks = nnx.List(blocks)
        self.last = _linear(channels, config.head_width, rngs)
        self.last_norm = _norm(config.head_width, rngs)
        self.head = (
            None
            if config.features_only
            else nnx.Linear(config.head_width, config.num_classes, rngs=rngs)
        )

    def __call__(
        self,
        images: chex.Array,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """[B, H, W, C], normalised -> logits [B, num_classes].

        Or, with `features_only`, the last map's mean [B, head_width].

        Args:
            images: [B, H, W, C].
            train: updates the statistics of the norms.
            rngs: unused; every module takes it.
        """
        x = nnx.relu6(self.stem_norm(self.stem(images), train=train))
        for block in self.blocks:
            x = block(x, train=train)
        x = nnx.relu6(self.last_norm(self.last(x), train=train))
        features = x.mean(axis=(1, 2))
        return features if self.head is None else self.head(features)


def _linear(in_channels, channels, rngs):
    """A 1x1 convolution: XLA is half as fast again if it is written as a product."""
    return nnx.Linear(
        in_channels, channels, use_bias=False, kernel_init=HE_FAN_OUT, rngs=rngs
    )


def _norm(channels, rngs):
    return BatchNorm(channels, momentum=0.99, epsilon=EPSILON, rngs=rngs)


def same_padding(
    lengths: tuple[int, ...], size: int, stride: int
) -> tuple[tuple[int, int], ...]:
    """TensorFlow's `SAME`: zeros (before, behind) along each axis; the odd one behind.

    Args:
        lengths: of the axes.
        size: of the kernel.
        stride: of the kernel.
    """
    needed = [
        max((-(-length // stride) - 1) * stride + size - length, 0)
        for length in lengths
    ]
    return tuple((zeros // 2, zeros - zeros // 2) for zeros in needed)


@functools.cache
def build(config: Config) -> Functional:
    """Config -> a network; the same one for equal configs, so that it compiles once.

    It is called as `apply(params, state, images [B, H, W, C]) -> (outputs, state)`;
    outputs are logits, or features with `config.features_only`.
    """
    return Functional(functools.partial(_make, config), config)


def _make(config, rngs):
    return EfficientNetLite(config, rngs=rngs)
