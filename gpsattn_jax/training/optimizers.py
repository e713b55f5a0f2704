"""The optimizer of a run, from Optax."""

import re
from collections.abc import Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gpsattn_jax.stacks import block_names, by_block, path_name, shape_of_block
from gpsattn_jax.training.config import TrainConfig


def make_optimizer(
    config: TrainConfig, layers: Sequence[str] = ()
) -> optax.GradientTransformation:
    """Gradient clipping, the optimizer, its schedule; layers may be slower or frozen.

    Args:
        config: see there.
        layers: patterns of the network's layers from the first one up, for
            `config.layer_decay`; see `layer_numbers`.

    Raises:
        ValueError: if a layer decay is asked for and no layers are known.
    """
    if config.layer_decay < 1 and not layers:
        raise ValueError("train.layer_decay must be 1 for a network without layers.")
    clip = optax.clip_by_global_norm(config.clip_norm)
    transforms = [
        clip if config.clip_norm > 0 else optax.identity(),
        _BY_NAME[config.optimizer](config, learning_rate_schedule(config)),
    ]
    if config.layer_decay < 1:
        transforms.append(_slower_below(config.layer_decay, layers))
    optimizer = optax.chain(*transforms)
    if not config.frozen:
        return optimizer
    partition = optax.partition(
        {"learns": optimizer, "frozen": optax.set_to_zero()},
        lambda params: _labels(params, config.frozen),
    )
    return _without_frozen_blocks(partition, config.frozen)


def learning_rate_schedule(config: TrainConfig) -> optax.Schedule:
    """Linear over the warm-up, then as `config.schedule` says."""
    warmup = min(config.warmup_steps, config.num_steps - 1)
    start, peak = config.warmup_start, config.learning_rate
    if config.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(
            init_value=start,
            peak_value=peak,
            warmup_steps=warmup,
            # A short run keeps at least one step of the cosine.
            decay_steps=max(warmup + 1, config.num_steps - config.cooldown_steps),
            end_value=config.final_learning_rate,
        )
    falls = config.milestones if config.schedule == "step" else ()
    places = [int(share * config.num_steps) - warmup for share in falls]
    if any(place <= 0 for place in places):
        raise ValueError(
            f"train.milestones must lie after the warm-up of {warmup} steps; "
            f"got {falls} of {config.num_steps}."
        )
    factors = dict.fromkeys(places, config.milestone_factor)
    after = optax.piecewise_constant_schedule(peak, factors)
    return optax.join_schedules(
        [optax.linear_schedule(start, peak, warmup), after], [warmup]
    )


def decay_mask(params: Any, what: str) -> Any:
    """True for the parameters that weight decay shrinks, one of `DECAYED`."""

    def decays(path, leaf):
        name = path[-1].key
        shape = shape_of_block(path_name(path), getattr(leaf, "shape", ()))
        matrix = len(shape) > 1 and name != "bias"
        return {"kernels": name == "kernel", "matrices": matrix, "all": True}[what]

    return jax.tree_util.tree_map_with_path(decays, params)


def frozen_blocks(path: Any, patterns: Sequence[str]) -> list[bool]:
    """Whether the path of each block of a parameter begins with one of the patterns."""
    return by_block(
        lambda name: any(re.match(pattern, name) for pattern in patterns),
        path_name(path),
    )


def along_blocks(numbers: Any, leaf: chex.Array) -> chex.Array:
    """A number for each block of a stack as [blocks, 1, …]; a single one as it is."""
    numbers = jnp.asarray(numbers)
    return numbers.reshape(-1, *(1,) * (leaf.ndim - 1)) if numbers.ndim else numbers


def layer_numbers(params: Any, layers: Sequence[str]) -> Any:
    r"""The layer of each parameter, 0 for the first; of a stack [blocks].

    Args:
        params: nested dicts.
        layers: patterns that a path begins with, from the input up; one with a group
            (`blocks/(\d+)/`) stands for as many layers as there are numbers; where the
            group is not met (`table|blocks/(\d+)/`), for the first of them.

    Raises:
        ValueError: names a parameter that no pattern knows.
    """

    def place(name):
        found = (re.match(pattern, name) for pattern in layers)
        row, match = next(((i, m) for i, m in enumerate(found) if m), (None, None))
        if match is None:
            raise ValueError(
                f"{name} must be in one of the layers {', '.join(layers)}."
            )
        return row, int(match[1] or 0) if match.re.groups else 0

    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    places = [by_block(place, path_name(path)) for path, _ in leaves]
    order = {p: number for number, p in enumerate(sorted(set(sum(places, []))))}
    numbers = [np.array([order[p] for p in blocks]) for blocks in places]
    stacked = [block_names(path_name(path)) is not None for path, _ in leaves]
    return jax.tree.unflatten(
        tree, [n if s else n[0] for n, s in zip(numbers, stacked, strict=True)]
    )


def _adamw(config, rate):
    return optax.adamw(
        rate, b2=config.beta2, weight_decay=config.weight_decay, mask=_mask(config)
    )


def _lamb(config, rate):
    """As `optax.lamb`, whose trust ratio would be one for all blocks of a stack."""
    return optax.chain(
        optax.scale_by_adam(b2=config.beta2, eps=1e-6),
        optax.add_decayed_weights(config.weight_decay, _mask(config)),
        optax.stateless(_trust),
        optax.scale_by_learning_rate(rate),
    )


def _trust(updates, params):
    """Each block's update in proportion to the size of the block's parameters."""

    def scale(path, update, param):
        stacked = block_names(path_name(path)) is not None
        axes = tuple(range(int(stacked), update.ndim))
        sizes = [
            jnp.sqrt(jnp.sum(jnp.square(array), axes, keepdims=True))
            for array in (param, update)
        ]
        nothing = (sizes[0] == 0) | (sizes[1] == 0)
        safe = jnp.where(nothing, 1, sizes[1])
        return update * jnp.where(nothing, 1, sizes[0] / safe).astype(update.dtype)

    return jax.tree_util.tree_map_with_path(scale, updates, params)


def _adam(config, rate):
    return optax.chain(_coupled_decay(config), optax.adam(rate, b2=config.beta2))


def _sgd(config, rate):
    return optax.chain(
        _coupled_decay(config),
        optax.sgd(rate, momentum=config.momentum, nesterov=config.momentum > 0),
    )


_BY_NAME = {"adamw": _adamw, "adam": _adam, "sgd": _sgd, "lamb": _lamb}


def _coupled_decay(config):
    return optax.add_decayed_weights(config.weight_decay, mask=_mask(config))


def _mask(config):
    return lambda params: decay_mask(params, config.decayed)


def _labels(params, patterns):
    """Which parameters learn and which are frozen; every pattern must find some."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    names = [name for path, _ in leaves for name in by_block(str, path_name(path))]
    for pattern in patterns:
        if not any(re.match(pattern, name) for name in names):
            first = sorted({name.split("/")[0] for name in names})
            raise ValueError(
                f"train.frozen must begin a parameter's path, as {', '.join(first)}; "
                f"got {pattern!r}."
            )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "frozen" if all(frozen_blocks(path, patterns)) else "learns",
        params,
    )


def _without_frozen_blocks(optimizer, patterns):
    """The same for stacks of which a part is frozen; its state stays as it is."""

    def hold(path, update):
        frozen = frozen_blocks(path, patterns)
        if not any(frozen):
            return update
        return jnp.where(along_blocks(frozen, update), 0, update)

    def change(updates, state, params=None):
        # Before, so that their gradients do not count in a norm; after, as they decay.
        updates = jax.tree_util.tree_map_with_path(hold, updates)
        updates, state = optimizer.update(updates, state, params)
        return jax.tree_util.tree_map_with_path(hold, updates), state

    return optax.GradientTransformation(optimizer.init, change)


def _slower_below(factor, layers):
    """Scales the update of a layer by factor ** (layers above it)."""

    def scale(updates, params):
        del params
        numbers = layer_numbers(updates, layers)
        top = max(n.max() for n in jax.tree.leaves(numbers))

        def slower(update, number):
            factors = along_blocks(factor ** (top - number), update)
            return update * factors.astype(update.dtype)

        return jax.tree.map(slower, updates, numbers)

    return optax.stateless(scale)
