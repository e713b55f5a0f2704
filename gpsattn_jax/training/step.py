"""One step of training: a pure function of arrays."""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.optimizers import along_blocks, frozen_blocks
from gpsattn_jax.training.state import Network, TrainState


def train_step(
    state: TrainState,
    batch: dict[str, chex.ArrayTree],
    key: chex.PRNGKey,
    *,
    network: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    config: TrainConfig,
) -> tuple[TrainState, dict[str, Any]]:
    """One gradient step.

    Random numbers depend on the run's key and the step alone, so that a resumed run is
    the same run.

    Args:
        state: of the run.
        batch: {"inputs": the network's arguments, "targets": the loss's}.
        key: random key of the run.
        network: what is trained.
        loss: `loss(outputs, targets) -> (scalar, metrics)`.
        optimizer: of the parameters.
        config: precision, accumulation, frozen parameters, moving averages.

    Returns:
        (the state after the step, metrics).
    """
    grads, metrics, model_state = gradients(
        state, batch, key, network=network, loss=loss, config=config
    )
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    if config.frozen:
        model_state = _where_frozen(config.frozen, state.model_state, model_state)
    metrics = metrics | {"grad_norm": optax.tree.norm(grads)}
    new = TrainState(state.step + 1, params, model_state, opt_state)
    new = new._replace(
        ema=_average(state.ema, new, config.ema_decay), skipped=state.skipped
    )
    if not config.skip_nonfinite:
        return new, metrics
    new = _unless_nonfinite(metrics, new, state)
    return new, metrics | {f"skipped_{k}": v for k, v in new.skipped.items()}


def gradients(
    state: TrainState,
    batch: dict[str, chex.ArrayTree],
    key: chex.PRNGKey,
    *,
    network: Network,
    loss: Loss,
    config: TrainConfig,
) -> tuple[Any, dict[str, Any], Any]:
    """What a step has of its batch; the arguments are those of `train_step`.

    Returns:
        (gradients, metrics, batch statistics after the step).
    """

    def objective(params, model_state, batch, key):
        outputs, model_state = network.apply(
            to_precision(params, config.precision),
            model_state,
            **to_precision(batch["inputs"], config.precision),
            train=True,
            rng=key,
        )
        value, metrics = loss(outputs, batch["targets"])
        return value, (metrics, model_state)

    gradient = jax.grad(objective, has_aux=True)
    key = jax.random.fold_in(key, state.step)
    if config.accumulate == 1:
        grads, (metrics, model_state) = gradient(
            state.params, state.model_state, batch, key
        )
    else:
        grads, metrics, model_state = _accumulate(gradient, state, batch, key, config)
    if config.frozen:  # then nothing needs those gradients, and XLA leaves them out
        grads = _where_frozen(config.frozen, jax.tree.map(jnp.zeros_like, grads), grads)
    return grads, metrics, model_state


def step_program(
    network: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    config: TrainConfig,
    shardings: Any,
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """What a run compiles, and a plan of one: the step, and options of `jax.jit`.

    Args:
        network: see `train_step`, as are the three after it.
        loss: likewise.
        optimizer: likewise.
        config: likewise.
        shardings: of the state; the new one takes the old one's place and memory.
    """
    step = functools.partial(
        train_step, network=network, loss=loss, optimizer=optimizer, config=config
    )
    return step, {"donate_argnums": 0, "out_shardings": (shardings, None)}


def to_precision(tree: chex.ArrayTree, precision: str) -> Any:
    """The floating-point arrays of a tree in the precision of the computation."""
    if precision == "float32":
        return tree

    def cast(leaf):
        floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        return jnp.asarray(leaf, precision) if floating else leaf

    return jax.tree.map(cast, tree)


def _accumulate(gradient, state, batch, key, config):
    """Mean gradients and metrics of the parts of a batch, one after the other."""
    parts = config.accumulate

    def interleave(array):
        # Part i has the rows i, i + parts, …: each device keeps the rows it has.
        return array.reshape(-1, parts, *array.shape[1:]).swapaxes(0, 1)

    def work_off(carry, part):
        sums, model_state = carry
        number, rows = part
        grads, (metrics, model_state) = gradient(
            state.params, model_state, rows, jax.random.fold_in(key, number)
        )
        return (jax.tree.map(jnp.add, sums, grads), model_state), metrics

    zeros = jax.tree.map(jnp.zeros_like, state.params)
    (sums, model_state), metrics = jax.lax.scan(
        work_off,
        (zeros, state.model_state),
        (jnp.arange(parts), jax.tree.map(interleave, batch)),
    )
    grads = jax.tree.map(lambda total: total / parts, sums)
    return grads, jax.tree.map(lambda m: m.mean(0), metrics), model_state


def _where_frozen(patterns, frozen, learning):
    """The blocks of one tree where their path is frozen, of another elsewhere."""

    def choose(path, held, learned):
        is_held = frozen_blocks(path, patterns)
        if all(is_held) or not any(is_held):
            return held if is_held[0] else learned
        return jnp.where(along_blocks(is_held, learned), held, learned)

    return jax.tree_util.tree_map_with_path(choose, frozen, learning)


def _unless_nonfinite(metrics, new, old):
    """The new state, or the old one a step later where a metric is not finite."""
    finite = jnp.all(jnp.isfinite(jnp.stack(jax.tree.leaves(metrics))))
    kept = jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)
    before = old.skipped
    skipped = {
        "in_all": before["in_all"] + jnp.where(finite, 0, 1),
        "in_a_row": jnp.where(finite, 0, before["in_a_row"] + 1),
    }
    return kept._replace(step=new.step, skipped=skipped)


def _average(ema, new, decay):
    """The moving averages after a step; in early steps they forget faster."""
    if ema is None:
        return None
    steps = new.step.astype(jnp.float32)
    keep = jnp.minimum(decay, (1 + steps) / (10 + steps))
    fresh = {"params": new.params, "model_state": new.model_state}
    return optax.incremental_update(fresh, ema, 1 - keep)
