"""The checkpoint of a trained run that a command asks for."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.loop import open_checkpoints


@contextlib.contextmanager
def open_run(
    workdir: str | os.PathLike, choose: str, system: str
) -> Iterator[tuple[Checkpoints, int, dict[str, Any]]]:
    """Yields (checkpoints, step, the run's settings without its system).

    Args:
        workdir: where the run was told to work.
        choose: "latest" checkpoint, or the "best" one.
        system: whose run it must be.

    Raises:
        FileNotFoundError: if there is no checkpoint, or there are many runs.
        ValueError: if `choose` is unknown or the run is another system's.
    """
    if choose not in ("latest", "best"):
        raise ValueError(f"choose must be one of latest, best; got {choose!r}.")
    runs = sorted(pathlib.Path(workdir).glob("split-*/seed-*/**/checkpoints"))
    if runs:
        raise FileNotFoundError(
            f"{workdir} holds {len(runs)} runs; name one, such as {runs[0].parent}."
        )
    with open_checkpoints(workdir) as checkpoints:
        step = checkpoints.latest() if choose == "latest" else checkpoints.best()
        if step is None:
            raise FileNotFoundError(
                f"{checkpoints.folder}: no finished checkpoint yet."
            )
        settings = checkpoints.metadata(step)
        made_by = settings.pop("system")
        if made_by != system:
            raise ValueError(f"{workdir} must be a run of {system}; got {made_by}.")
        yield checkpoints, step, settings
