"""Losses: `loss(outputs, targets) -> (scalar, {metric: scalar})`."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

Loss = Callable[[Any, dict[str, chex.Array]], tuple[chex.Array, dict[str, chex.Array]]]


def summed_squares() -> Loss:
    """Squared error of scores [B, T], mean over a sequence's steps, summed over them.

    PGL-SUM's: its gradients add up over the videos of a batch. The targets are "score"
    [B, T] and "length" [B]; steps beyond a length, and sequences of length 0, do not
    count. The metric `loss` is the mean over the sequences.
    """

    def loss(scores, targets):
        length = targets["length"]
        counts = jnp.arange(scores.shape[1])[None] < length[:, None]
        squares = jnp.where(counts, jnp.square(scores - targets["score"]), 0)
        means = squares.sum(-1) / jnp.maximum(length, 1)
        return means.sum(), {"loss": means.sum() / jnp.maximum((length > 0).sum(), 1)}

    return loss


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Mean cross-entropy of logits [B, classes] against targets["label"].

    The labels are classes [B], or shares of the classes [B, classes] where images were
    mixed. The metrics are `loss` and `accuracy` (of the largest share), both means over
    the batch.
    """

    def loss(logits, targets):
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        labels = targets["label"]
        if labels.ndim == 1:
            labels = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        smoothed = optax.smooth_labels(labels, label_smoothing)
        value = optax.softmax_cross_entropy(logits, smoothed).mean()
        accuracy = (logits.argmax(-1) == labels.argmax(-1)).mean()
        return value, {"loss": value, "accuracy": accuracy}

    return loss


def pixel_cross_entropy(label_smoothing: float = 0.0, ignore: int = 255) -> Loss:
    """Mean cross-entropy of logits [B, H, W, classes] against targets["mask"].

    The masks [B, H, W] hold classes; pixels that are `ignore` do not count. The metrics
    are `loss` and `accuracy`, both means over the pixels that count.
    """

    def loss(logits, targets):
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        mask = targets["mask"].astype(jnp.int32)
        counts = mask != ignore
        labels = jax.nn.one_hot(mask, logits.shape[-1], dtype=logits.dtype)
        smoothed = optax.smooth_labels(labels, label_smoothing)
        values = optax.softmax_cross_entropy(logits, smoothed)
        total = jnp.maximum(counts.sum(), 1)
        value = jnp.where(counts, values, 0).sum() / total
        right = (logits.argmax(-1) == mask) & counts
        return value, {"loss": value, "accuracy": right.sum() / total}

    return loss
