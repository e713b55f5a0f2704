"""A depthwise separable convolution along time."""

import functools

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.kernels import temporal_conv
from gpsattn_jax.kernels.row_sums import along_rows, spread_by_product
from gpsattn_jax.kernels.shapes import check_least
from gpsattn_jax.modules.layers import Dense


class TemporalConv(nnx.Module):
    """Depthwise along time, then pointwise: [B, T, V, C] -> [B, ceil(T / s), V, C].

    Args:
        channels: C.
        kernel_size: K, odd.
        stride: s, of the frames.
        rngs: random streams for the initial values.
    """

    def __init__(
        self, channels: int, *, kernel_size: int = 7, stride: int = 1, rngs: nnx.Rngs
    ):
        check_least(1, channels=channels, kernel_size=kernel_size, stride=stride)
        start = nnx.initializers.lecun_normal(in_axis=0, out_axis=())
        self.kernel = nnx.Param(start(rngs.params(), (kernel_size, channels)))
        self.bias = nnx.Param(jnp.zeros((channels,)))
        self.point = Dense(channels, channels, rngs=rngs)
        self.stride = stride

    def __call__(
        self,
        x: chex.Array,
        mask: chex.Array | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """Convolves; places where the mask [B, T, V] is False count as zeros."""
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)
        x = convolve(x, self.kernel[...].astype(x.dtype), self.stride)
        flat = x.reshape(-1, x.shape[-1])
        flat = flat + along_rows(self.bias[...].astype(x.dtype), len(flat))
        return self.point(flat.reshape(x.shape))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def convolve(x: chex.Array, filters: chex.Array, stride: int) -> chex.Array:
    """`temporal_conv` of every joint: [B, T, V, C], [K, C] -> [B, T', V, C].

    The filters' gradient is by products, for the reason given at `along_rows`.
    """

    def line(x):
        return temporal_conv(x, filters, stride=stride)

    return jax.vmap(jax.vmap(line, in_axes=1, out_axes=1))(x)


@convolve.defjvp
def _convolve_jvp(stride, primals, tangents):
    (x, filters), (x_tangent, filters_tangent) = primals, tangents
    out, change = (convolve(array, filters, stride) for array in (x, x_tangent))
    size, rows = len(filters), out.size // out.shape[-1]
    edge = size // 2
    padded = jnp.pad(x, ((0, 0), (edge, edge), (0, 0), (0, 0)))
    last = padded.shape[1] - size
    for k in range(size):
        window = padded[:, k : k + last + 1 : stride].reshape(rows, -1)
        term = window * spread_by_product(filters_tangent[k], rows)
        change = change + term.reshape(out.shape)
    return out, change


def thin(x: chex.Array, stride: int) -> chex.Array:
    """Frames 0, s, 2 s, … of [B, T, …], as a convolution of stride s has them."""
    return x if stride == 1 else x[:, ::stride]


def thin_mask(mask: chex.Array, stride: int) -> chex.Array:
    """Whether a joint is there in frames t s … t s + s - 1: [B, T, V] -> [B, T', V].

    What stands between the frames that `thin` keeps is not lost: a convolution has
    carried it to them.
    """
    if stride == 1:
        return mask
    whole = -(-mask.shape[1] // stride) * stride
    mask = jnp.pad(mask, ((0, 0), (0, whole - mask.shape[1]), (0, 0)))
    return mask.reshape(len(mask), -1, stride, mask.shape[2]).any(2)
