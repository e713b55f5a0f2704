"""Networks by name: what comes with the package, and what a name stands for."""

import dataclasses
import functools
import json
import os
import pathlib

from gpsattn_jax.configs import from_dict
from gpsattn_jax.systems import downloads

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """Weights that others have published, which are fetched when they are asked for.

    Attributes:
        system: a key of `SYSTEMS`.
        setup: of the system, whose data the weights were trained on.
        task: what they do, in a few words.
        accuracy: as their authors give it.
        licence: likewise.
        remote: where they are.
        split: of the setup's splits, whose training part they were trained on.
    """

    system: str
    setup: str
    task: str
    accuracy: str
    licence: str
    remote: downloads.Remote
    split: int | None = None


def _transxnet(letter, setup, accuracy):
    release = "https://github.com/LMMMEng/TransXNet/releases/download/v1.0"
    return Published(
        system="transxnet",
        setup=setup,
        task="1,000 classes of ImageNet, 224 x 224 pixels",
        accuracy=accuracy,
        licence="its repository's; the pictures: ImageNet's terms, research use",
        remote=downloads.Remote(address=f"{release}/transx-{letter}.pth.tar"),
    )


def _pglsum(data, split, table):
    """A released PGL-SUM: the archive has a folder for each, with one file in it."""
    archive = "https://zenodo.org/record/5635735/files/pretrained_models.zip"
    member = f"pretrained_models/table{table}_models/{data}/split{split}"
    return Published(
        system="pglsum",
        setup=data.lower(),
        task="importance of a video's steps, from GoogLeNet's features at 2 a second",
        accuracy=_PGLSUM_ACCURACY[data, table],
        licence="academic, non-commercial use",
        remote=downloads.Remote(address=archive, member=member),
        split=split,
    )


# Mean F-score over the five splits, of the paper's tables: III takes the best epoch on
# the test videos, IV the one that the training loss chooses.
_PGLSUM_ACCURACY = {
    ("SumMe", 3): "mean F 57.1 %", ("TVSum", 3): "mean F 62.7 %",
    ("SumMe", 4): "mean F 55.6 %", ("TVSum", 4): "mean F 61.0 %",
}  # fmt: skip

# Of the official repositories; no size or hash of these files is known to us.
PUBLISHED = {
    "transxnet-tiny": _transxnet("t", "imagenet", "top-1 81.6 %"),
    "transxnet-small": _transxnet("s", "imagenet_small", "top-1 83.8 %"),
    "transxnet-base": _transxnet("b", "imagenet_base", "top-1 84.6 %"),
} | {
    f"pglsum-{data.lower()}-split{split}{best}": _pglsum(data, split, table)
    for table, best in ((4, ""), (3, "-best_on_test"))
    for data in ("SumMe", "TVSum")
    for split in range(5)
}


@functools.cache
def available() -> dict[str, NamedNetwork]:
    """The networks that come with the package, by name."""
    rows = json.loads((FOLDER / "networks.json").read_text())
    found = [from_dict(NamedNetwork, row) for row in rows]
    return {network.name: network for network in found}


def find(source: str | os.PathLike) -> pathlib.Path:
    """What stands for a run: a file, a workdir, or the name of a network.

    A file or a workdir of that name comes first; then what comes with the package; then
    what is fetched: `PUBLISHED`, and `hf:OWNER/NAME[@REVISION]/FILE`. What is nothing
    of these comes back as it is, for the message of whoever opens it.

    Raises:
        OSError: if it cannot be fetched.
        ValueError: if what was fetched is another file than it should be.
    """
    path, name = pathlib.Path(source), os.fspath(source)
    if path.is_file() or is_workdir(path):
        return path
    if name in available():
        return available()[name].path
    if name in PUBLISHED:
        return downloads.fetch(PUBLISHED[name].remote)
    return downloads.fetch_from_hub(name) if name.startswith("hf:") else path


def is_workdir(path: str | os.PathLike) -> bool:
    """Whether a run has been trained in a folder."""
    return (pathlib.Path(path) / "checkpoints").is_dir()


def results_folder(source: str | os.PathLike) -> pathlib.Path:
    """Where results of a run go: its workdir; of a file or a name, a folder here."""
    path = pathlib.Path(source)
    if os.fspath(source).startswith("hf:"):
        return pathlib.Path(path.stem)
    return pathlib.Path(path.stem) if path.is_file() else path
