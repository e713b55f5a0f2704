"""The exact GELU by a polynomial, several times as fast on a CPU as XLA's erf."""

import math

import chex
import jax
import jax.numpy as jnp

from gpsattn_jax.kernels.dtypes import as_floating
from gpsattn_jax.platforms import platform

# The normal distribution's Phi(z) = 1/2 + z P(s), s = 2 (z / REACH)^2 - 1 in [-1, 1]:
# in s, unlike in z^2, the powers hardly cancel. A minimax fit (Lawson's weights on
# Chebyshev polynomials, in double precision, of max(1, z) times the error); the first
# one is then raised a little, so that Phi reaches 0 and 1 within the reach.
REACH = 5.1
COEFFICIENTS = (
    1.3860533e-1,
    -6.9003195e-2,
    5.0783100e-2,
    -4.0220805e-2,
    3.1715434e-2,
    -2.3998830e-2,
    1.7460478e-2,
    -1.2080939e-2,
    6.8906657e-3,
    -3.1526405e-3,
    2.3516957e-3,
    -1.9937817e-3,
    6.8273510e-4,
)


def gelu(x: chex.Array) -> chex.Array:
    """The exact GELU, x times the normal distribution Phi(x): no tanh.

    Hendrycks and Gimpel, arXiv 1606.08415. In float32 Phi is a polynomial: the largest
    error is 2e-6, that of the derivative 1e-6, and beyond +-5.1 the result is x or 0
    exactly. float64 uses erf; narrower floats pass through float32. Both modes of
    differentiation.

    Args:
        x: of any shape; integers become float32.

    Returns:
        As x in shape and dtype; NaN where x is NaN.
    """
    x = as_floating(x)
    if platform() == "onnx":  # one operation there, of the same function
        return x * 0.5 * jax.lax.erfc(-x / math.sqrt(2))
    return _gelu(x)


@jax.custom_jvp
def _gelu(x):
    if x.dtype == jnp.float64:
        return jnp.maximum(x, -40) * jax.scipy.stats.norm.cdf(x)  # as below
    wide = x.astype(jnp.float32)
    # Bounded below, so that -inf times 0 is 0.
    return (jnp.maximum(wide, -REACH) * _phi(wide)).astype(x.dtype)


@_gelu.defjvp
def _gelu_jvp(primals, tangents):
    (x,), (tangent,) = primals, tangents
    return _gelu(x), tangent * _slope(x).astype(x.dtype)


# Jitted, so that a network traces each of its shapes once; XLA sees through it.
@jax.jit
def _slope(x):
    """The derivative, Phi(x) + x phi(x)."""
    if x.dtype == jnp.float64:
        cumulative = jax.scipy.stats.norm.cdf(x)
    else:
        x = x.astype(jnp.float32)
        cumulative = _phi(x)
    inside = jnp.clip(x, -40, 40)  # inf times 0 is no number
    density = jnp.exp(-0.5 * inside * inside) / math.sqrt(2 * math.pi)
    return cumulative + inside * density


@jax.jit
def _phi(x):
    """The standard normal distribution function of a float32 array."""
    z = jnp.clip(x, -REACH, REACH)
    s = z * z * (2 / REACH**2) - 1
    total = jnp.full_like(s, COEFFICIENTS[-1])
    for coefficient in COEFFICIENTS[-2::-1]:
        total = total * s + coefficient
    return jnp.clip(0.5 + z * total, 0, 1)
