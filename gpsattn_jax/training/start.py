"""Where a run begins: a new state, or a checkpoint that its settings and data fit."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from gpsattn_jax.configs import default_values
from gpsattn_jax.reader_errors import readable
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.config import Machine, TrainConfig
from gpsattn_jax.training.optimizers import learning_rate_schedule
from gpsattn_jax.training.settings import NUM_STEPS, check_settings
from gpsattn_jax.training.sharding import Placement
from gpsattn_jax.training.state import TrainState, copy, no_steps_skipped
from gpsattn_jax.training.whole_steps import note


def check(
    checkpoints: Checkpoints,
    settings: Mapping[str, Any],
    upgrade: Callable[[dict[str, Any]], dict[str, Any]],
    defaults: Mapping[str, Any] | None,
    machine: Machine,
) -> int | None:
    """Compares a run's settings with those of the checkpoint that it goes on from.

    Then moves those that it does not go on from into another folder, a line for each.

    Args:
        checkpoints: of the run.
        settings: of this call.
        upgrade: see `fit`.
        defaults: see `fit`.
        machine: says which checkpoint, and whether the run may have more steps.

    Returns:
        How many steps it had before, if it is extended.

    Raises:
        ValueError: if the checkpoint belongs to other settings, or there is none that
            is whole at `machine.resume`.
        FileNotFoundError: if there is none to be extended.
    """
    if machine.whole:
        checkpoints.set_damaged_aside()
    if machine.resume is not None:
        checkpoints.check_kept(machine.resume)
    step = checkpoints.latest() if machine.resume is None else machine.resume
    if step is None:
        if machine.extend:
            raise FileNotFoundError(f"{checkpoints.folder}: there is no run to extend.")
        return None
    saved = checkpoints.metadata(step)
    with readable(checkpoints.metadata_file(step), "record of a run's settings"):
        saved = upgrade(saved)
    if defaults is None:
        defaults = {"train": default_values(TrainConfig)}
    before = check_settings(
        saved, settings, checkpoints.folder, defaults, extend=machine.extend
    )
    if machine.resume is not None:
        checkpoints.set_later_aside(machine.resume)
    return before.get(NUM_STEPS) if machine.extend else None


def start(
    create: Callable[..., TrainState],
    initial: Callable[[], tuple[Any, Any]] | None,
    batches: Any,
    checkpoints: Checkpoints,
    placement: Placement,
) -> TrainState:
    """The state of the newest checkpoint, or a new one, where the mesh wants it.

    Args:
        create: makes a new state, of `initial` weights if they are given.
        initial: gives them.
        batches: of the run; they must go on where the checkpoint's stopped.
        checkpoints: of the run.
        placement: the devices.

    Raises:
        ValueError: if the checkpoint is damaged, or another network's or other data's.
    """
    target = placement.shapes(jax.eval_shape(create))
    latest = checkpoints.latest()
    if latest is None:
        shardings = placement.shardings(target)
        if initial is None and placement.mesh.size > 1:
            # No device ever holds the whole of it.
            return jax.jit(create, out_shardings=shardings)()
        state = create(initial=None if initial is None else initial())
        # A copy: the step gives the memory of its arguments away.
        return jax.device_put(copy(state), shardings)
    counters = placement.shapes(jax.eval_shape(no_steps_skipped))
    if checkpoints.has_item(latest, "skipped"):  # they stay also where none is skipped
        target = target._replace(skipped=counters)
    state, position = checkpoints.restore(latest, target)
    _check_position(checkpoints.folder / str(latest), position, batches, latest)
    if target.skipped is not None and state.skipped is None:
        state = state._replace(skipped=no_steps_skipped())
    shardings = placement.shardings(target)
    return state._replace(
        step=jax.device_put(state.step, shardings.step),
        skipped=jax.device_put(state.skipped, shardings.skipped),
    )


def note_extension(before: int | None, config: TrainConfig, state: TrainState) -> None:
    """A line about a run that goes on to more steps: what its learning rate does.

    Args:
        before: the steps that it had, None if it is not extended.
        config: of the run now.
        state: from which it goes on.
    """
    if before is None or before == config.num_steps:
        return
    earlier = learning_rate_schedule(dataclasses.replace(config, num_steps=before))
    now = learning_rate_schedule(config)
    count = int(state.step)
    if state.skipped is not None:
        count -= int(state.skipped["in_all"])
    note(
        f"Extended from {before} to {config.num_steps} steps: the learning rate is "
        f"that of a run of {config.num_steps} steps (train.schedule={config.schedule}) "
        f"from here on, {float(now(count)):.3g} after "
        f"{float(earlier(max(count - 1, 0))):.3g}."
    )


def _check_position(path, saved, batches, step):
    """Raises ValueError if these batches would not go on where others stopped."""
    now = batches.position(step)
    if saved == now:
        return
    before, after = saved.get("examples"), now.get("examples")
    if before != after:
        raise ValueError(
            f"{path}: the run was begun with {before:,} examples to train on, and the "
            f"data now have {after:,}: its batches would be other ones. Bring the old "
            "data back, or start a new run from it with --init_from."
        )
    raise ValueError(
        f"{path} stopped at data position {saved}; this data would go on from {now}."
    )
