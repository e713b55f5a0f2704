"""Dropout of attention weights: factors for whole rows, or for a part of their keys."""

import chex
import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32


def dropout_factors(
    rate: float,
    rng: chex.PRNGKey,
    head: chex.Array | int,
    rows: chex.Array,
    columns: chex.Array,
) -> chex.Array:
    """Factors on the weights of a block of rows of a head.

    Args:
        rate: share of weights that become zero.
        rng: random key of the sequence.
        head: its number.
        rows: [t, 1] indices; the first one names the block.
        columns: [1, S], all keys.

    Returns:
        [t, S].
    """
    rng = jax.random.fold_in(jax.random.fold_in(rng, head), rows[0, 0])
    shape = (rows.shape[0], columns.shape[1])
    return jax.random.bernoulli(rng, 1 - rate, shape) / (1 - rate)


def dropout_factors_at(
    rate: float,
    rng: chex.PRNGKey,
    head: chex.Array | int,
    rows: chex.Array,
    columns: chex.Array,
    *,
    block: int,
    num_keys: int,
) -> chex.Array:
    """The same numbers as `dropout_factors` draws, at any rows and columns.

    A device that has some of the keys draws for these alone. `jax.random.bernoulli`
    hashes a number's place in its array (`jax_threefry_partitionable`), which is
    spelled out here; a test compares the two.

    Args:
        rate: as there; so are `rng` and `head`.
        rng: of JAX's default kind, threefry2x32.
        head: its number.
        rows: [t, 1] indices.
        columns: [1, s] indices.
        block: rows of a block there.
        num_keys: S, the keys of whole rows; block x S is below 2^32.

    Returns:
        [t, s].
    """
    rng = jax.random.fold_in(rng, head)
    starts = rows // block * block
    keys = jax.vmap(lambda start: jax.random.fold_in(rng, start))(starts[:, 0])
    places = (rows - starts).astype(jnp.uint32) * jnp.uint32(num_keys)
    places = places + columns.astype(jnp.uint32)

    def hash_row(key, places):
        first, second = jnp.split(
            threefry_2x32(
                (key[0], key[1]), jnp.concatenate([jnp.zeros_like(places), places])
            ),
            2,
        )
        return first, second

    shares = _shares(*jax.vmap(hash_row)(jax.random.key_data(keys), places))
    return (shares < 1 - rate) / (1 - rate)


def _shares(high, low):
    """Two random words each -> numbers in [0, 1), as `jax.random.uniform` has it."""
    dtype = jnp.result_type(float)
    mantissa = jnp.finfo(dtype).nmant
    if dtype == jnp.float64:
        bits = (high.astype(jnp.uint64) << 32) | low.astype(jnp.uint64)
    else:
        bits = high ^ low
    width = jnp.iinfo(bits.dtype).bits
    one = jax.lax.bitcast_convert_type(jnp.ones((), dtype), bits.dtype)
    between = jax.lax.bitcast_convert_type((bits >> (width - mantissa)) | one, dtype)
    return between - 1
