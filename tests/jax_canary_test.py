"""A JAX that computes wrong numbers must not pass: the expression that showed one."""

import jax
import jax.numpy as jnp
import numpy as np

ROWS = 32_769


def test_compiled_and_plain_agree_where_a_jax_was_wrong():
    """JAX 0.10.2 on CPUs gave 1071645696 for the last row under jit (jax-ml/jax 39103).

    Of rows [i, 0, 0] the value is i squared; float32 holds the square of 32,768.
    """
    count = jnp.arange(ROWS, dtype=jnp.float32)
    rows = jnp.stack([count, jnp.zeros(ROWS), jnp.zeros(ROWS)], axis=1)
    squares = jax.vmap(lambda r: jnp.sum((jnp.eye(3) @ r) ** 2))
    plain, compiled = squares(rows), jax.jit(squares)(rows)
    assert plain[-1] == compiled[-1] == 1_073_741_824
    np.testing.assert_allclose(compiled, np.arange(ROWS, dtype=float) ** 2, rtol=1e-6)
    np.testing.assert_array_equal(compiled, plain)
