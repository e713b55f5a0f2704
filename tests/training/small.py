"""A network and batches so small that compiling them takes no time."""

import jax
import jax.numpy as jnp
import numpy as np


class Linear:
    """Two matrices; a running mean, as batch norms have one."""

    def init(self, key):
        params = {
            "stem": {"kernel": jax.random.normal(key, (6, 5))},
            "head": {"kernel": jax.random.normal(key, (5, 3)), "bias": jnp.zeros(3)},
        }
        return params, {"stem": {"mean": jnp.zeros(5)}}

    def shapes(self):
        return jax.eval_shape(self.init, jax.random.key(0))

    def apply(self, params, state, *, x, train=False, rng=None):
        """[B, 6] -> (logits [B, 3], new state)."""
        hidden = x @ params["stem"]["kernel"]
        out = jnp.tanh(hidden) @ params["head"]["kernel"] + params["head"]["bias"][None]
        mean = state["stem"]["mean"] + hidden.mean(0).astype(jnp.float32)
        return out, {"stem": {"mean": mean}}


def examples(count):
    """(inputs, targets) of random numbers, the same each time."""
    draw = np.random.default_rng(3)
    return (
        {"x": draw.normal(size=(count, 6)).astype(np.float32)},
        {"label": draw.integers(0, 3, count).astype(np.int32)},
    )
