"""Small layers that several networks share."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.kernels import depthwise_conv, gelu
from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.mesh_axes import joined_places
from gpsattn_jax.modules.norms import BatchNorm, along_places
from gpsattn_jax.modules.starts import HE_FAN_OUT, START


class Dense(nnx.Linear):
    """`nnx.Linear`, which works on two axes alone: [..., C] -> [..., C'].

    The gradient of a kernel sums over all axes but the last. Over several of them XLA
    makes transposed copies on CPUs; joined into one there is nothing to copy. The
    gradient of a bias is a product, too (see `along_rows`).
    """

    def __call__(self, inputs: chex.Array, out_sharding: Any = None) -> chex.Array:
        """Dense layer of the last axis."""
        flat = joined_places(inputs)
        out = jnp.matmul(flat, self.kernel[...], out_sharding=out_sharding)
        if self.bias is not None:
            out = out + along_places(self.bias[...], out)
        return out.reshape(*inputs.shape[:-1], -1)


class DepthwiseConv(nnx.Module):
    """A depthwise convolution: [B, H, W, C] -> [B, H', W', C].

    Args:
        channels: C.
        kernel_size: K.
        stride: of rows and columns.
        use_bias: add a bias for each channel.
        rngs: random streams for the initial values, normal(0.02).
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ):
        check_least(1, channels=channels, kernel_size=kernel_size, stride=stride)
        shape = (kernel_size, kernel_size, channels)
        self.kernel = nnx.Param(START(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros((channels,))) if use_bias else None
        self.stride = stride

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Padded by K // 2 on each side."""
        out = depthwise_conv(x, self.kernel[...], stride=self.stride)
        if self.bias is None:
            return out
        flat = joined_places(out)
        return (flat + along_places(self.bias[...], flat)).reshape(out.shape)


class PatchEmbed(nnx.Module):
    """A strided convolution and a batch norm: [B, H, W, C] -> [B, H', W', C'].

    Args:
        in_channels: C.
        channels: C'.
        kernel_size: K; the padding is K // 2 on each side (PyTorch's, not `SAME`).
        stride: of rows and columns.
        rngs: random streams for the initial values.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 2,
        rngs: nnx.Rngs,
    ):
        self.conv = conv(
            in_channels, channels, kernel_size, stride=stride, start=START, rngs=rngs
        )
        self.norm = BatchNorm(channels, rngs=rngs)

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """[B, H, W, C] -> [B, (H + 2 (K // 2) - K) / stride + 1, …, C']."""
        return self.norm(self.conv(x), train=train)


class LayerScale(nnx.Module):
    """A small learned factor and an offset for each channel: [..., C] -> [..., C].

    "Going deeper with Image Transformers" (arXiv 2103.17239), with the bias that
    TransXNet adds. The factor is a depthwise 1x1 kernel [1, 1, C], as it is there, so
    that recipes which spare vectors from weight decay decay it, as theirs do.

    Args:
        channels: C.
        start: initial factor.
        rngs: unused; every module takes it.
    """

    def __init__(self, channels: int, start: float = 1e-5, *, rngs: nnx.Rngs):
        del rngs
        self.factor = nnx.Param(jnp.full((1, 1, channels), start, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((channels,)))

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """X * factor + bias."""
        flat = joined_places(x)
        factor, bias = (
            along_places(vector, flat) for vector in (self.factor[0, 0], self.bias[...])
        )
        return (flat * factor + bias).reshape(x.shape)


def normalised_gelu(x: chex.Array, norm: BatchNorm, train: bool) -> chex.Array:
    """norm(gelu(x)): [..., C] -> same.

    On two axes, as the norm's sums are: then XLA on CPUs has the GELU once.
    """
    return norm(gelu(joined_places(x)), train=train).reshape(x.shape)


def drop_path(
    x: chex.Array,
    rate: float | chex.Array | None,
    *,
    train: bool = False,
    rngs: nnx.Rngs | None = None,
) -> chex.Array:
    """Drops whole examples of a residual branch in training: [B, …] -> [B, …].

    Stochastic depth (arXiv 1603.09382) for each example; what stays is divided by the
    share that stays.

    Args:
        x: [B, …].
        rate: share of examples that become zeros; None for none.
        train: otherwise x stays.
        rngs: random streams, needed in training.

    Raises:
        ValueError: if there is something to draw and nothing to draw from.
    """
    if not train or rate is None:
        return x
    if rngs is None:
        raise ValueError("drop path needs a random key in training: rng=….")
    stays = jnp.asarray(1 - rate, x.dtype)
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    keep = jax.random.bernoulli(rngs.dropout(), 1 - rate, shape)
    return jnp.where(keep, x / stays, 0)


def conv(
    in_channels: int,
    out_channels: int,
    size: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    use_bias: bool = False,
    start: nnx.Initializer = HE_FAN_OUT,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A convolution, without bias unless asked for.

    Args:
        in_channels: C.
        out_channels: C'.
        size: K.
        stride: s, of rows and columns.
        padding: zeros on each of the four sides; K // 2 if None.
        use_bias: add a bias for each channel.
        start: of the kernel's values.
        rngs: random streams for them.

    Returns:
        A module: [B, H, W, C] -> [B, (H + 2 padding - K) // s + 1, …, C'].
    """
    check_least(
        1, in_channels=in_channels, out_channels=out_channels, size=size, stride=stride
    )
    return nnx.Conv(
        in_channels,
        out_channels,
        (size, size),
        strides=stride,
        padding=size // 2 if padding is None else padding,
        use_bias=use_bias,
        kernel_init=start,
        conv_general_dilated=(
            jax.lax.conv_general_dilated if size > 1 or padding else _pointwise
        ),
        rngs=rngs,
    )


def _pointwise(x, kernel, strides, *_, precision=None, **__):
    """A 1x1 convolution as a product of matrices, see `Dense`.

    On a CPU the gradient takes half to a third of XLA's convolution's time.
    """
    rows, columns = strides
    x = x[:, ::rows, ::columns]
    out = jnp.matmul(joined_places(x), kernel[0, 0], precision=precision)
    return out.reshape(*x.shape[:-1], -1)


def check_images(images: chex.Array, channels: int) -> None:
    """Raises ValueError unless images are [B, H, W, channels], none of them empty.

    Args:
        images: of any shape.
        channels: C of the network.
    """
    shape = images.shape
    if len(shape) != 4 or shape[-1] != channels or 0 in shape:
        raise ValueError(
            f"images must be [B, H, W, {channels}], each at least 1; got {shape}."
        )


def check_heads(name: str, width: int, num_heads: int) -> None:
    """Raises ValueError unless a width is divided by a number of heads, 1 at least.

    Args:
        name: of the width, for the message.
        width: channels, 1 at least.
        num_heads: N.
    """
    if num_heads < 1:
        raise ValueError(f"num_heads must be at least 1; got {num_heads}.")
    if width < 1 or width % num_heads:
        raise ValueError(
            f"{name} must be a multiple of num_heads={num_heads}; got {width}."
        )
