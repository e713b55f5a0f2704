"""The optimizer of a run, from Optax."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import optax

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
    return optax.partition(
        {"learns": optimizer, "frozen": optax.set_to_zero()},
        lambda params: _labels(params, config.frozen),
    )


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
        matrix = getattr(leaf, "ndim", 0) > 1 and name != "bias"
        return {"kernels": name == "kernel", "matrices": matrix, "all": True}[what]

    return jax.tree_util.tree_map_with_path(decays, params)


def is_frozen(path: Any, patterns: Sequence[str]) -> bool:
    """Whether a parameter's path begins with one of the patterns."""
    return any(re.match(pattern, path_name(path)) for pattern in patterns)


def path_name(path: Any) -> str:
    """A path in a tree as blocks/0/mix/query/kernel."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def layer_numbers(params: Any, layers: Sequence[str]) -> Any:
    r"""The layer of each parameter, 0 for the first.

    Args:
        params: nested dicts.
        layers: patterns that a path begins with, from the input up; one with a group
            (`blocks/(\d+)/`) stands for as many layers as there are numbers; where the
            group is not met (`table|blocks/(\d+)/`), for the first of them.

    Raises:
        ValueError: names a parameter that no pattern knows.
    """
    places = {}
    for path, _ in jax.tree_util.tree_leaves_with_path(params):
        name = path_name(path)
        found = (re.match(pattern, name) for pattern in layers)
        row, match = next(((i, m) for i, m in enumerate(found) if m), (None, None))
        if match is None:
            raise ValueError(
                f"{name} must be in one of the layers {', '.join(layers)}."
            )
        places[name] = (row, int(match[1] or 0) if match.re.groups else 0)
    order = {place: number for number, place in enumerate(sorted(set(places.values())))}
    return jax.tree_util.tree_map_with_path(
        lambda path, _: order[places[path_name(path)]], params
    )


def _adamw(config, rate):
    return optax.adamw(
        rate, b2=config.beta2, weight_decay=config.weight_decay, mask=_mask(config)
    )


def _lamb(config, rate):
    return optax.lamb(
        rate, b2=config.beta2, weight_decay=config.weight_decay, mask=_mask(config)
    )


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
    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in patterns:
        if not any(re.match(pattern, name) for name in names):
            first = sorted({name.split("/")[0] for name in names})
            raise ValueError(
                f"train.frozen must begin a parameter's path, as {', '.join(first)}; "
                f"got {pattern!r}."
            )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "frozen" if is_frozen(path, patterns) else "learns", params
    )


def _slower_below(factor, layers):
    """Scales the update of a layer by factor ** (layers above it)."""

    def scale(updates, params):
        del params
        numbers = layer_numbers(updates, layers)
        top = max(jax.tree.leaves(numbers))
        return jax.tree.map(lambda u, n: u * factor ** (top - n), updates, numbers)

    return optax.stateless(scale)
