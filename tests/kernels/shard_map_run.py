"""What `shard_map_test.py` runs with eight pretended devices."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from gpsattn_jax.kernels import attend_blocked, depthwise_conv

MESH = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
SPLIT, WHOLE = P("data"), P()


def draw(*shapes):
    generator = np.random.default_rng(0)
    return [jnp.asarray(generator.standard_normal(s, np.float32)) for s in shapes]


def by_distance(table, rows, columns, length):
    return table[jnp.abs(rows - columns)]


def attention(query, key, value, table):
    one = jax.vmap(
        lambda q, k, v: attend_blocked(
            q, k, v, by_distance, 4, block=2, bias_data=table
        )
    )
    return jnp.square(one(query, key, value)).sum()


def attention_to_shared_keys(query, key, value, table):
    batch = (len(query), *key.shape)
    key, value = (jnp.broadcast_to(a[None], (batch[0], *a.shape)) for a in (key, value))
    return attention(query, key, value, table)


def one_attention(query, key, value, table):
    """Without a map over examples: heads are split over the mesh."""
    out = attend_blocked(query, key, value, by_distance, 4, block=2, bias_data=table)
    return jnp.square(out).sum()


def convolution(x, filters):
    return jnp.square(depthwise_conv(x, filters)).sum()


heads = draw((8, 2, 5, 4), (8, 2, 6, 4), (8, 2, 6, 3), (6,))
shared = draw((8, 2, 5, 4), (2, 6, 4), (2, 6, 3), (6,))
flat = draw((8, 5, 4), (8, 6, 4), (8, 6, 3), (6,))
CASES = {
    "attend_blocked": (attention, heads, (SPLIT, SPLIT, SPLIT, WHOLE)),
    "attend_blocked, keys for all": (
        attention_to_shared_keys, shared, (SPLIT, WHOLE, WHOLE, WHOLE),
    ),
    "attend_blocked, heads": (one_attention, flat, (SPLIT, SPLIT, SPLIT, WHOLE)),
    "depthwise_conv, one filter": (
        convolution, draw((8, 9, 9, 4), (3, 3, 4)), (SPLIT, WHOLE),
    ),
    "depthwise_conv, filters by example": (
        convolution, draw((8, 9, 9, 4), (8, 3, 3, 4)), (SPLIT, SPLIT),
    ),
}  # fmt: skip

for name, (function, arrays, specs) in CASES.items():
    gradient = jax.grad(function, argnums=tuple(range(len(arrays))))
    # The checks of what varies over the mesh are on by default.
    mapped = jax.shard_map(gradient, mesh=MESH, in_specs=specs, out_specs=specs)
    for one, other in zip(jax.jit(mapped)(*arrays), gradient(*arrays), strict=True):
        worst = float(jnp.abs(one - other).max() / jnp.abs(other).max())
        assert worst < 1e-5, (name, worst)
    total = jax.shard_map(
        lambda *arrays, function=function: jax.lax.psum(function(*arrays), "data"),
        mesh=MESH,
        in_specs=specs,
        out_specs=WHOLE,
    )
    outside = jax.grad(total, argnums=tuple(range(len(arrays))))
    for one, other in zip(jax.jit(outside)(*arrays), gradient(*arrays), strict=True):
        worst = float(jnp.abs(one - other).max() / jnp.abs(other).max())
        assert worst < 1e-5, (name, "outside", worst)
    print(f"{name}: agrees on {MESH.size} devices")
