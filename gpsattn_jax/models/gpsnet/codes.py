"""Codes of places: of joints on the skeleton, of frames in time."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gpsattn_jax.models.gpsnet.config import Config
from gpsattn_jax.models.gpsnet.skeleton import skeleton_parts


def joint_parts(config: Config) -> tuple[int, ...] | None:
    """The part of each joint; None without a partition.

    A tuple: to Flax an array would be a part of the network's state.
    """
    parts = skeleton_parts(config)
    return None if parts is None else tuple(parts.tolist())


def learned_codes(
    config: Config, width: int, size: float, rngs: nnx.Rngs
) -> nnx.Param | None:
    """A code for each part, [parts, width]; None where codes are fixed, or none are.

    Args:
        config: the network's.
        width: of a code.
        size: standard deviation of the initial values.
        rngs: random streams for them.
    """
    parts = joint_parts(config)
    if parts is None or config.fixed_codes:
        return None
    start = nnx.initializers.normal(size)
    return nnx.Param(start(rngs.params(), (max(parts) + 1, width)))


def joint_codes(
    parts: tuple[int, ...], codes: nnx.Param | None, width: int, dtype: jnp.dtype
) -> jax.Array:
    """The joints' structural codes [V, width]: their parts', or sinusoids of these.

    Args:
        parts: of each joint.
        codes: [parts, width]; None for sinusoids.
        width: of a code.
        dtype: of the result.
    """
    if codes is not None:
        return codes[...][np.array(parts)].astype(dtype)
    places = np.array(parts) / max(1, *parts)
    return sinusoids(jnp.asarray(2 * places - 1, dtype), width)


def sinusoids(place: jax.Array, channels: int) -> jax.Array:
    """Codes of places in -1..1: [...] -> [..., channels], sines then cosines.

    The wavelengths fall geometrically from 4 (every place differs from every other) to
    1/8 (neighbours among 32 differ).
    """
    count = -(-channels // 2)
    frequencies = jnp.asarray(np.geomspace(0.25, 8.0, count) * 2 * np.pi, place.dtype)
    angles = place[..., None] * frequencies.reshape((1,) * place.ndim + (-1,))
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return waves[..., :channels]
