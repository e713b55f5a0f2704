"""Compiled or operation by operation, the numbers are the same, also of many rows."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.kernels.rows import KERNELS

# Rows that a kernel is mapped over; from 32,769 on a JAX once was wrong.
ROWS = (1, 3, 32_769)
SMALL = {"L": 2, "T": 2, "S": 3, "D": 2, "E": 2, "R": 3, "N": 1, "B": 1}
SMALL |= {"H": 3, "W": 3, "C": 2, "G": 2, "K": 3}
# Sizes that a row has as numbers: a map of its own would be large 32,769 times.
LARGE = (
    "in parts",
    "of equal bins",
    "of a small map",
    "of three axes",
    "a learned bias",
)


@pytest.mark.parametrize("name", [name for name in KERNELS if not name.endswith(LARGE)])
def test_jit_equals_op_by_op(name):
    row = KERNELS[name]
    mapped = jax.vmap(row.__call__)
    for rows in ROWS:
        few = row.make(**SMALL)
        draw = np.random.default_rng(rows)
        arrays = [
            jnp.broadcast_to(a[None], (rows, *a.shape))
            if a.dtype == bool
            else jnp.asarray(draw.standard_normal((rows, *a.shape), np.float32))
            for a in few
        ]
        chex.assert_trees_all_close(
            jax.jit(mapped)(*arrays), mapped(*arrays), rtol=1e-5, atol=1e-5
        )
