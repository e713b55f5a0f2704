"""Networks by name: what comes with the package, and what a name stands for."""

import dataclasses
import functools
import json
import os
import pathlib

from gpsattn_jax.configs import from_dict

FOLDER = pathlib.Path(__file__).parents[1] / "pretrained"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedNetwork:
    """A trained network that comes with the package.

    Attributes:
        name: by which it is loaded; its card is `pretrained/NAME.md`.
        system: a key of `SYSTEMS`.
        task: what it does, in a few words.
        data: that it was trained on.
        metric: what `value` measures, on data it was not trained on.
        value: measured for this very file by `command`.
        command: of the figure.
        trained_by: the command that trained it.
        parameters: how many.
        size: of the file in bytes.
        sha256: of the file.
        licence: of the data, which the weights carry on.
    """

    name: str
    system: str
    task: str
    data: str
    metric: str
    value: float
    command: str
    trained_by: str
    parameters: int
    size: int
    sha256: str
    licence: str

    @property
    def path(self) -> pathlib.Path:
        """The file, which `systems.run_files` reads."""
        return FOLDER / f"{self.name}.safetensors"


@functools.cache
def available() -> dict[str, NamedNetwork]:
    """The networks that come with the package, by name."""
    rows = json.loads((FOLDER / "networks.json").read_text())
    found = [from_dict(NamedNetwork, row) for row in rows]
    return {network.name: network for network in found}


def find(source: str | os.PathLike) -> pathlib.Path:
    """What stands for a run: a file, a workdir, or the name of a network.

    A file or a workdir of that name comes first. What is nothing of these comes back as
    it is, for the message of whoever opens it.
    """
    path = pathlib.Path(source)
    if path.is_file() or (path / "checkpoints").is_dir():
        return path
    network = available().get(os.fspath(source))
    return path if network is None else network.path


def results_folder(source: str | os.PathLike) -> pathlib.Path:
    """Where results of a run go: its workdir; of a file or a name, a folder here."""
    path = pathlib.Path(source)
    return pathlib.Path(path.stem) if path.is_file() else path
