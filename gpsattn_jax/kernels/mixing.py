"""Kernels made for each example: a softmax-gated sum of groups of kernels."""

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import accumulator, as_floating
from gpsattn_jax.kernels.shapes import check_shapes


def mix_kernels(logits: chex.Array, kernels: chex.Array) -> chex.Array:
    """One depthwise kernel out of G: sum over g of softmax_g(logits) * kernels.

    Each channel at each place of the window chooses among the groups by itself.
    TransXNet (arXiv 2310.19380), input-dependent depthwise convolution.

    Args:
        logits: [K, K, G, C].
        kernels: [K, K, G, C].

    Returns:
        [K, K, C] in the dtype of `kernels`; the softmax is float32 at least.

    Raises:
        ValueError: if the shapes do not fit.
    """
    check_shapes(logits=(logits, "K K G C"), kernels=(kernels, "K K G C"))
    logits, kernels = as_floating(logits, kernels)
    gates = jax.nn.softmax(logits.astype(accumulator(logits)), axis=-2)
    mixed = jnp.sum(gates * kernels.astype(gates.dtype), axis=-2)
    return mixed.astype(kernels.dtype)
