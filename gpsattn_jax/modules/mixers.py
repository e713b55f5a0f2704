"""What may stand where a network mixes pixels with a 3x3 convolution."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import chex
from flax import nnx

from gpsattn_jax.kernels import content_attention
from gpsattn_jax.modules.attention import MultiHeadAttention
from gpsattn_jax.modules.axial_attention import AxialAttention
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention
from gpsattn_jax.modules.lambda_layer import LambdaLayer
from gpsattn_jax.modules.map_attention import GatedAttention, GridAttention
from gpsattn_jax.modules.starts import HE_FAN_OUT

# (channels=…, rngs=…, and the network's options that it names) -> a module that maps
# [B, H, W, C] to the same, called as `module(x, train=…, rngs=…)`.
Mixer = Callable[..., nnx.Module]


class SpatialConv(nnx.Conv):
    """A 3x3 convolution without bias: [B, H, W, C] -> [B, H / s, W / s, C].

    Args:
        channels: C.
        stride: s, of rows and columns.
        rngs: random streams for the initial values.
    """

    def __init__(self, channels: int, *, stride: int = 1, rngs: nnx.Rngs):
        super().__init__(
            channels, channels, (3, 3), strides=stride, padding=1, use_bias=False,
            kernel_init=HE_FAN_OUT, rngs=rngs,
        )  # fmt: skip

    def __call__(  # type: ignore[override]
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Convolves, with a zero on each side."""
        return super().__call__(x)


# A new mechanism is one row; a user's own is `MIXERS | {"mine": Mine}`.
MIXERS: dict[str, Mixer] = {
    "conv": SpatialConv,
    "gsa": GlobalSelfAttention,
    "softmax": MultiHeadAttention,
    "content": functools.partial(MultiHeadAttention, kernel=content_attention),
    "gated": GatedAttention,
    "lambda": LambdaLayer,
    "axial": AxialAttention,
    "grid": GridAttention,
}


def make_mixer(
    mixer: Mixer, channels: int, options: Mapping[str, Any], *, rngs: nnx.Rngs
) -> nnx.Module:
    """Builds a mixer with those of the options that its signature names.

    Args:
        mixer: a value of `MIXERS`, or a user's own.
        channels: C.
        options: what the network offers: `num_heads`, `stride`, …
        rngs: random streams for the initial values.

    Returns:
        The module.
    """
    arguments = {name: value for name, value in options.items() if takes(mixer, name)}
    return mixer(channels=channels, **arguments, rngs=rngs)


def takes(mixer: Mixer, option: str) -> bool:
    """Whether a mixer's signature names an option, which is not bound yet."""
    while isinstance(mixer, functools.partial):
        if option in mixer.keywords:
            return False
        mixer = mixer.func
    # A Flax class hides its own signature behind its metaclass's.
    function = mixer.__init__ if isinstance(mixer, type) else mixer  # type: ignore[misc]
    return option in inspect.signature(function).parameters
