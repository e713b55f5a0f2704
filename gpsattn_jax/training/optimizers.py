"""The optimizer of a run, from Optax."""

from typing import Any

import jax
import optax

from gpsattn_jax.training.config import TrainConfig


def make_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """AdamW behind gradient clipping, on a warm-up and cosine schedule."""
    clip = optax.clip_by_global_norm(config.clip_norm)
    return optax.chain(
        clip if config.clip_norm > 0 else optax.identity(),
        optax.adamw(
            learning_rate_schedule(config),
            weight_decay=config.weight_decay,
            mask=decayed,
        ),
    )


def learning_rate_schedule(config: TrainConfig) -> optax.Schedule:
    """Linear from zero over the warm-up, then a half cosine to zero at the end."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=min(config.warmup_steps, config.num_steps - 1),
        decay_steps=config.num_steps,
    )


def decayed(params: Any) -> Any:
    """True for what weight decay shrinks: kernels; no norm, bias or position table."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key == "kernel", params
    )
