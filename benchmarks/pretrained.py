r"""The networks that come with the package: packed from runs, measured, described.

python -m benchmarks.pretrained --runs=runs --data_dir=data
python -m benchmarks.pretrained --check --data_dir=data

The first packs each run of `PACKED` that is below --runs, measures the file as a user
would, and writes its row of `networks.json` and its card; networks of absent runs stay
as they are. The second measures what is there, and fails where a figure is another one.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import sys
import tempfile

import jax
import numpy as np
from absl import logging

from gpsattn_jax import pretrained
from gpsattn_jax.data.data_folder import VARIABLE
from gpsattn_jax.systems import SYSTEMS, named_networks, run_files

RESEARCH = "research use, as the data's authors ask for"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packed:
    """A run to pack: what its row and card say beside what is measured.

    Attributes:
        run: its folder below --runs.
        task: what the network does.
        data: that it was trained on, and what was held out.
        metric: what is measured.
        trained_by: the command.
        licence: of the data.
        limits: a sentence for the card.
    """

    run: str
    task: str
    data: str
    metric: str
    trained_by: str
    licence: str
    limits: str


def _skeletons(run, task, setup, data, limits, flags=""):
    return Packed(
        run=run, task=task, data=data, limits=limits,
        metric="accuracy on the test clips",
        trained_by=f"gpsattn gpsnet --setup={setup}{flags}",
        licence=RESEARCH,
    )  # fmt: skip


def _videos(name, count, limits):
    return Packed(
        run=f"{name.lower()}/split-0/seed-0",
        task="importance of a video's shots, from colour histograms",
        data=f"{name}, split 0 of PGL-SUM's five: {count} videos to train",
        metric="Kendall's tau with the users, mean of the test videos",
        trained_by=f"gpsattn pglsum --setup={name.lower()}_shots "
        "--split=0 --protocol=paper",
        licence=RESEARCH,
        limits=limits,
    )


FEW = "A hundred clips or two: figures of one split move by several points."
PACKED = {
    "gsanet-digits": Packed(
        run="digits/seed-0",
        task="handwritten digits of 8 x 8 pixels",
        data="scikit-learn's digits, 1,797 pictures, of which 450 are the test's",
        metric="accuracy on the test pictures",
        trained_by="gpsattn gsanet --setup=digits",
        licence="CC BY 4.0 (UCI, Alpaydin and Kaynak 1998)",
        limits="Pictures of its own kind alone: bright digits of 8 x 8 pixels.",
    ),
    "gsanet-cifar100_patches": Packed(
        run="patches",
        task="100 kinds of things in pictures of 32 x 32 pixels",
        data="CIFAR-100: 45,000 pictures to train, 10,000 to test",
        metric="accuracy on the test pictures",
        trained_by="gpsattn gsanet --setup=cifar100_patches",
        licence="none stated by the data's authors; cite Krizhevsky 2009",
        limits="Two epochs of training: a starting point, and no good classifier.",
    ),
    "transxnet-imagenette_64px": Packed(
        run="nette",
        task="ten kinds of things in pictures of 64 x 64 pixels",
        data="Imagenette-128 (WebP): 8,969 pictures to train, 3,925 to test",
        metric="accuracy on the test pictures",
        trained_by="gpsattn transxnet --setup=imagenette_64px",
        licence="ImageNet's terms: research use",
        limits="A small network, ten epochs, small pictures.",
    ),
    "gpsnet-jhmdb14": _skeletons(
        "jhmdb14/split-0/seed-0/joint", "14 actions from 15 joints in the plane",
        "jhmdb14", "JHMDB, 14 of its classes, split 0", FEW, " --split=0",
    ),
    "gpsnet-florence3d": _skeletons(
        "florence3d/split-0/seed-0/joint", "9 actions from 15 joints in space",
        "florence3d", "Florence3D, its first group of persons left out", FEW,
        " --split=0",
    ),
    "gpsnet-utkinect": _skeletons(
        "abl_utk_whole", "10 actions from 20 joints in space",
        "utkinect", "UTKinect, its first split by persons", FEW,
    ),
    "gpsnet-nw_ucla": _skeletons(
        "nw_ucla/seed-0", "10 actions from 20 joints in space, seen from any side",
        "nw_ucla", "NW-UCLA: views 1 and 2 to train, 1,020 clips, view 3 to test",
        "One stream of four; what others report is higher: see docs/results.md.",
    ),
    "pglsum-tvsum": _videos(
        "TVSum", 40, "Colours say little of what matters: far from people's agreement."
    ),
    "pglsum-summe": _videos(
        "SumMe", 20, "Colours say little, and the test has five videos alone."
    ),
}  # fmt: skip


def measure(name: str, data_dir: str | os.PathLike | None = None) -> float:
    """The figure of a network, from its file, on its test data."""
    network = named_networks.available()[name]
    face = SYSTEMS[network.system].face()
    folder = None if data_dir is None else pathlib.Path(data_dir).resolve()
    with (
        tempfile.TemporaryDirectory() as here,
        contextlib.chdir(here),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        found = face.evaluate(name, data_dir=folder, with_baselines=False)
    if network.system == "gpsnet":
        run = found[0]
        return float(np.mean(run.probabilities.argmax(-1) == run.clips.labels))
    (row,) = found.values()
    return float(row[0]["tau"] if network.system == "pglsum" else row[0])


def pack(name: str, packed: Packed, runs: pathlib.Path) -> None:
    """Writes a network's file, and its row without the figure."""
    system = name.split("-")[0]
    run = SYSTEMS[system].face().restore(runs / packed.run, "latest")
    path = named_networks.FOLDER / f"{name}.safetensors"
    run_files.write_run(path, system, run)
    content = path.read_bytes()
    row = named_networks.NamedNetwork(
        name=name, system=system, task=packed.task, data=packed.data,
        metric=packed.metric, value=float("nan"),
        command=f"gpsattn {system} --mode=evaluate --weights={name}",
        trained_by=packed.trained_by,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(run.params)),
        size=len(content), sha256=hashlib.sha256(content).hexdigest(),
        licence=packed.licence,
    )  # fmt: skip
    _keep(row)


def _keep(row):
    """Writes a row in the place of the one of its name."""
    rows = {**named_networks.available(), row.name: row}
    path = named_networks.FOLDER / "networks.json"
    ordered = [dataclasses.asdict(rows[name]) for name in PACKED if name in rows]
    path.write_text(json.dumps(ordered, indent=1) + "\n")
    named_networks.available.cache_clear()


def card(row: named_networks.NamedNetwork, limits: str) -> str:
    """A network's card, as Markdown."""
    return f"""# {row.name}

{row.task[0].upper()}{row.task[1:]}. {row.parameters:,} parameters, {row.size:,} bytes.

* **Data**: {row.data}.
* **Trained**, seed 0, the last checkpoint, by
  `{row.trained_by}`.
* **Measured**: {row.metric}: **{row.value:.4f}**, by `{row.command}`.
  One run: seeds and splits differ, see `docs/results.md`.
* **Limits**: {limits}
* **Licence of the data**: {row.licence}.
"""


def main() -> None:
    """Packs, or checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=pathlib.Path, default="runs")
    parser.add_argument("--data_dir", help=f"data sets; ${VARIABLE} by default")
    parser.add_argument("--check", action="store_true", help="change nothing")
    given = parser.parse_args()
    logging.set_verbosity(logging.ERROR)
    wrong = []
    for name, packed in PACKED.items():
        if not given.check and (given.runs / packed.run).is_dir():
            pack(name, packed, given.runs)
        row = named_networks.available().get(name)
        if row is None:
            print(f"{name}: no run {given.runs / packed.run}")
            continue
        value = measure(name, given.data_dir)
        print(f"{name}: {row.metric}: {value:.4f}")
        if given.check:
            wrong += [name] * (abs(value - row.value) > 1e-3)
            continue
        row = dataclasses.replace(row, value=round(value, 4))
        _keep(row)
        path = named_networks.FOLDER / f"{name}.md"
        path.write_text(card(row, packed.limits))
    if wrong:
        sys.exit(f"Another figure than its row's: {', '.join(wrong)}.")
    print(f"{len(pretrained.available())} networks.")


if __name__ == "__main__":
    main()
