"""Multi-head attention around any kernel of (query, key, value)."""

from collections.abc import Callable

import chex
import jax
from flax import nnx

from gpsattn_jax.kernels import attend
from gpsattn_jax.modules.layers import check_heads
from gpsattn_jax.modules.starts import LECUN

# One head of one example: [T, D], [S, D], [S, E] -> [T, E].
Kernel = Callable[..., chex.Array]


class MultiHeadAttention(nnx.Module):
    """Projections around an attention kernel: [B, …, C] -> same.

    All axes between the first and the last are one sequence: the steps of [B, T, C],
    the pixels of [B, H, W, C].

    Args:
        channels: C.
        num_heads: N; divides C.
        kernel: (query [T, D], key [T, D], value [T, D]) -> [T, D], of one head of one
            example, D = C / N.
        rngs: random streams for the initial values.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        kernel: Kernel = attend,
        rngs: nnx.Rngs,
    ):
        check_heads("channels", channels, num_heads)
        head = (num_heads, channels // num_heads)
        self.query, self.key, self.value = (
            nnx.LinearGeneral(
                channels, head, use_bias=False, kernel_init=LECUN, rngs=rngs
            )
            for _ in range(3)
        )
        self.out = nnx.LinearGeneral(
            head, channels, axis=(-2, -1), use_bias=False, kernel_init=LECUN, rngs=rngs
        )
        self.kernel = kernel

    def __call__(
        self, x: chex.Array, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> chex.Array:
        """Every place gathers from all places of its example."""
        places = x.reshape(len(x), -1, x.shape[-1])
        parts = (layer(places) for layer in (self.query, self.key, self.value))
        kernel, by_head = self._kernel_of_a_head(x.shape[1:-1])
        own = len(by_head)
        heads = jax.vmap(kernel, in_axes=(1, 1, 1, *(0,) * own), out_axes=1)
        examples = jax.vmap(heads, in_axes=(0, 0, 0, *(None,) * own))
        return self.out(examples(*parts, *by_head)).reshape(x.shape)

    def _kernel_of_a_head(self, shape):
        """What each head calls for places of a shape, and arrays [N, …] it adds."""
        del shape
        return self.kernel, ()
