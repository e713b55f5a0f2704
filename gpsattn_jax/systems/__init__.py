"""The four systems: a row for each, which commands and tests read.

Beside them stands segmentation, a task of the networks of two of them.

A system is a folder here. Its face has the same names everywhere: `SETUPS`, `Config`,
`train`, `restore`, `evaluate`, `predict`, `report`, `export`, `programs`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

__all__ = ["CHECKPOINTS", "JOURNEYS", "SYSTEMS", "System"]

# Which checkpoint of a run: the newest, the one of the highest metric, or the newest of
# which no file is damaged.
CHECKPOINTS = ("latest", "best", "whole")


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """What commands know of a system before they import it.

    Attributes:
        face: imports the system and returns its face.
        setup: that its command starts from by default.
        inputs: the flag by which `predict` is given files, and what they are.
        about: the network and what it is for, in a few words.
        example: of a file that `predict` takes.
        axes: of a grid of runs, outermost first; keys of `grids.AXES`.
        checkpoint: that its command opens by default: latest or best.
        flags: of its command, beside those that all commands have.
        export_flags: of the command export, likewise.
        plan_flags: of the command plan, likewise.
        scores_weights: whether `evaluate_weights` scores a file of weights as it is.
    """

    face: Callable[[], Any]
    setup: str
    inputs: tuple[str, str]
    about: str = ""
    example: str = "FILE"
    axes: tuple[str, ...] = ("seed",)
    checkpoint: str = "latest"
    flags: tuple[str, ...] = ()
    export_flags: tuple[str, ...] = ()
    plan_flags: tuple[str, ...] = ()
    scores_weights: bool = False


def _gpsnet():
    from gpsattn_jax.systems import gpsnet

    return gpsnet


def _gsanet():
    from gpsattn_jax.systems import gsanet

    return gsanet


def _pglsum():
    from gpsattn_jax.systems import pglsum

    return pglsum


def _transxnet():
    from gpsattn_jax.systems import transxnet

    return transxnet


def _segmentation():
    from gpsattn_jax.systems import segmentation

    return segmentation


IMAGES = "images", "a folder, a pattern or a file"
PREDICTION_OF_IMAGES = "invert", "top", "skip_bad", "features"

SYSTEMS = {
    "gpsnet": System(
        face=_gpsnet,
        about="GPS-Net, actions of skeletons",
        example="wave.npy",
        setup="utkinect",
        inputs=("clip", "a file (npy, npz, csv) or a folder of clips"),
        axes=("split", "seed", "stream"),
        flags=("fuse", "persons", "samplings"),
        export_flags=("persons",),
        plan_flags=("classes", "persons"),
    ),
    "gsanet": System(
        face=_gsanet,
        about="GSA-Net and its ResNet twin, classes of images",
        example="my_pictures",
        setup="digits",
        inputs=IMAGES,
        flags=PREDICTION_OF_IMAGES,
        export_flags=("size",),
    ),
    "pglsum": System(
        face=_pglsum,
        about="PGL-SUM, summaries of videos from their features",
        example="mine.h5",
        setup="summe_shots",
        inputs=("features", "an HDF5 file of videos"),
        axes=("split", "seed"),
        checkpoint="best",
        flags=("steps",),
        export_flags=("steps",),
        plan_flags=("steps",),
        scores_weights=True,
    ),
    "transxnet": System(
        face=_transxnet,
        about="TransXNet, classes of images",
        example="my_pictures",
        setup="imagenette",
        inputs=IMAGES,
        flags=PREDICTION_OF_IMAGES,
        export_flags=("size",),
    ),
}

# What has a command: the systems, and a task over the maps of two of them.
JOURNEYS = SYSTEMS | {
    "segmentation": System(
        face=_segmentation,
        about="Semantic FPN over TransXNet or ResNets, classes of pixels",
        example="photos",
        setup="textured_digits",
        inputs=IMAGES,
        flags=("window", "stride"),
    ),
}
