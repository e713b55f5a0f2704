"""The four systems: a row for each, which commands and tests read.

A system is a folder here. Its face has the same names everywhere: `SETUPS`, `Config`,
`train`, `restore`, `evaluate`, `predict`, `report`, `export`, `programs`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

__all__ = ["CHECKPOINTS", "SYSTEMS", "System"]

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
        axes: of a grid of runs, outermost first; keys of `grids.AXES`.
        checkpoint: that its command opens by default: latest or best.
        flags: of its command, beside those that all commands have.
        export_flags: of experiments/export.py, likewise.
        plan_flags: of experiments/plan.py, likewise.
        scores_weights: whether `evaluate_weights` scores a file of weights as it is.
    """

    face: Callable[[], Any]
    setup: str
    inputs: tuple[str, str]
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


IMAGES = "images", "a folder, a pattern or a file"
PREDICTION_OF_IMAGES = "invert", "top", "skip_bad", "features"

SYSTEMS = {
    "gpsnet": System(
        face=_gpsnet,
        setup="utkinect",
        inputs=("clip", "a file (npy, npz, csv) or a folder of clips"),
        axes=("split", "seed", "stream"),
        flags=("fuse", "persons", "samplings"),
        export_flags=("persons",),
        plan_flags=("classes", "persons"),
    ),
    "gsanet": System(
        face=_gsanet,
        setup="digits",
        inputs=IMAGES,
        flags=PREDICTION_OF_IMAGES,
        export_flags=("size",),
    ),
    "pglsum": System(
        face=_pglsum,
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
        setup="imagenette",
        inputs=IMAGES,
        flags=PREDICTION_OF_IMAGES,
        export_flags=("size",),
    ),
}
