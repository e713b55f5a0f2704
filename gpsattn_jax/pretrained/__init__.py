"""Trained networks by name.

    available()           what comes with the package: name, task, data, accuracy, …
    PUBLISHED             what is fetched from its authors when it is asked for
    load("gsanet-digits") a network with its weights, as a system's `restore` gives it

Of the first, each has a card beside it, `NAME.md`: data, protocol, figures, limits,
licence.
"""

import os

from gpsattn_jax.systems import JOURNEYS, runs
from gpsattn_jax.systems.named_networks import (
    PUBLISHED,
    NamedNetwork,
    Published,
    available,
)
from gpsattn_jax.systems.run_files import TrainedRun

__all__ = [
    "PUBLISHED", "NamedNetwork", "Published", "TrainedRun", "available", "load",
]  # fmt: skip


def load(source: str | os.PathLike) -> TrainedRun:
    """A trained network: its weights, and what it was trained on.

    Args:
        source: a name of `available()` or `PUBLISHED`, a file that `gpsattn
            convert` made of a run, here or on the hub
            (`hf:OWNER/NAME[@REVISION]/FILE`), or a run's workdir, whose latest
            checkpoint is taken.

    Returns:
        The record that `restore` of its system gives: `run.network.apply(run.params,
        run.state, …)`, `run.class_names`, and what `predict` takes.

    Raises:
        FileNotFoundError: if there is no such network; the message lists the names.
        OSError: if it cannot be fetched.
        ValueError: if the file is damaged, another one than it should be, or no run.
    """
    try:
        system = runs.find_system(source)
    except FileNotFoundError as error:
        if str(source) in PUBLISHED or str(source).startswith("hf:"):
            raise
        names = ", ".join([*available(), *PUBLISHED])
        raise FileNotFoundError(
            f"{source}: no file, no workdir, and none of the networks {names}."
        ) from error
    return JOURNEYS[system].face().restore(source)
