"""Losses: `loss(outputs, targets) -> (scalar, {metric: scalar})`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

Loss = Callable[[Any, dict[str, jax.Array]], tuple[jax.Array, dict[str, jax.Array]]]


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Mean cross-entropy of logits [B, classes] against targets["label"] [B].

    The metrics are `loss` and `accuracy`, both means over the batch.
    """

    def loss(logits, targets):
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        labels = jax.nn.one_hot(targets["label"], logits.shape[-1], dtype=logits.dtype)
        smoothed = optax.smooth_labels(labels, label_smoothing)
        value = optax.softmax_cross_entropy(logits, smoothed).mean()
        accuracy = (logits.argmax(-1) == targets["label"]).mean()
        return value, {"loss": value, "accuracy": accuracy}

    return loss
