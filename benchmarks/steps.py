"""A training step on made-up images, for what is measured in it and around it."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gpsattn_jax.models import gsanet
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import TrainState, copy, init_state
from gpsattn_jax.training.step import train_step


def on_cpu() -> bool:
    """Whether there is no accelerator; sizes depend on it."""
    return jax.default_backend() == "cpu"


def made_up_batch(model: Any, batch_size: int) -> dict[str, dict[str, Any]]:
    """A batch of normalised images and labels, on the host."""
    draw = np.random.default_rng(0)
    shape = (batch_size, model.image_size, model.image_size, model.in_channels)
    labels = draw.integers(0, model.num_classes, batch_size).astype(np.int32)
    return {
        "inputs": {"images": draw.normal(size=shape).astype(np.float32)},
        "targets": {"label": labels},
    }


def make_state(
    model: Any, config: TrainConfig, build: Callable[[Any], Functional] = gsanet.build
) -> TrainState:
    """The state before the first step, ready to be donated."""
    optimizer = make_optimizer(config)
    return copy(init_state(build(model), optimizer, jax.random.key(0)))


def make_step(
    model: Any, config: TrainConfig, build: Callable[[Any], Functional] = gsanet.build
) -> Callable:
    """(state, batch, key) -> (state, metrics), jitted; the state is donated."""
    step = functools.partial(
        train_step,
        network=build(model),
        loss=cross_entropy(config.label_smoothing),
        optimizer=make_optimizer(config),
        config=config,
    )
    return jax.jit(step, donate_argnums=0)


class Step:
    """A compiled training step, to take again and again from where the last one led.

    Attributes:
        parameters: how many the network has.
        compiled: the program.
        seconds: that tracing and compiling it took.
    """

    def __init__(
        self,
        model: Any,
        config: TrainConfig,
        batch: dict[str, dict[str, Any]],
        build: Callable[[Any], Functional] = gsanet.build,
    ):
        self._state = make_state(model, config, build)
        self._batch, self._key = jax.device_put(batch), jax.random.key(0)
        self.parameters = sum(x.size for x in jax.tree.leaves(self._state.params))
        step = make_step(model, config, build)
        start = time.perf_counter()
        self.compiled = step.lower(self._state, self._batch, self._key).compile()
        self.seconds = time.perf_counter() - start

    def take(self) -> None:
        """Takes a step and waits for it."""
        self._state, metrics = self.compiled(self._state, self._batch, self._key)
        jax.block_until_ready((self._state, metrics))
