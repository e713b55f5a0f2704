"""Trained networks by name.

    available()           what comes with the package: name, task, data, accuracy, …
    load("gsanet-digits") a network with its weights, as a system's `restore` gives it

Each has a card beside it, `NAME.md`: data, protocol, figures, limits, licence.
"""

import os

from gpsattn_jax.systems import SYSTEMS, runs
from gpsattn_jax.systems.named_networks import NamedNetwork, available
from gpsattn_jax.systems.run_files import TrainedRun

__all__ = ["NamedNetwork", "TrainedRun", "available", "load"]


def load(source: str | os.PathLike) -> TrainedRun:
    """A trained network: its weights, and what it was trained on.

    Args:
        source: a name of `available()`, a file that convert_checkpoint made of a run,
            or a run's workdir, whose latest checkpoint is taken.

    Returns:
        The record that `restore` of its system gives: `run.network.apply(run.params,
        run.state, …)`, `run.class_names`, and what `predict` takes.

    Raises:
        FileNotFoundError: if there is no such network; the message lists the names.
        ValueError: if the file is damaged, or holds no run.
    """
    try:
        system = runs.find_system(source)
    except FileNotFoundError as error:
        names = ", ".join(available())
        raise FileNotFoundError(
            f"{source}: no file, no workdir, and none of the networks {names}."
        ) from error
    return SYSTEMS[system].face().restore(source)
