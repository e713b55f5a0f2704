"""One step of training: a pure function of arrays."""

from typing import Any

import jax
import optax

from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.state import Network, TrainState


def train_step(
    state: TrainState,
    batch: dict[str, dict[str, jax.Array]],
    key: jax.Array,
    *,
    network: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
) -> tuple[TrainState, dict[str, Any]]:
    """One gradient step: (state, batch, key of the run) -> (state, metrics).

    Random numbers depend on the run's key and the step alone, so that a resumed run is
    the same run. `batch` is {"inputs": the network's arguments, "targets": the loss's}.
    """

    def objective(params):
        outputs, model_state = network.apply(
            params,
            state.model_state,
            **batch["inputs"],
            train=True,
            rng=jax.random.fold_in(key, state.step),
        )
        value, metrics = loss(outputs, batch["targets"])
        return value, (metrics, model_state)

    grads, (metrics, model_state) = jax.grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = metrics | {"grad_norm": optax.tree.norm(grads)}
    return TrainState(state.step + 1, params, model_state, opt_state), metrics
