"""Golden files: what the originals computed; and weights that are made from names.

Tests and the run on an accelerator read them here.
"""

import json
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

FOLDER = "GPSATTN_GOLDEN_DIR"
BESIDE = pathlib.Path(__file__).resolve().parents[2] / "shared" / "golden"


def folder() -> pathlib.Path:
    """`$GPSATTN_GOLDEN_DIR`, or `shared/golden` beside the repository."""
    return pathlib.Path(os.environ.get(FOLDER) or BESIDE)


def read(
    system: str, name: str, where: pathlib.Path | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, the constructor's arguments) of a file.

    Args:
        system: gsanet, pglsum or transxnet.
        name: of the file.
        where: the golden folder; `folder()` by default.

    Raises:
        FileNotFoundError: if it is not there.
    """
    with np.load((where or folder()) / system / f"{name}.npz") as file:
        arrays = dict(file)
    key = "config_json" if "config_json" in arrays else "config"
    return arrays, json.loads(str(arrays.pop(key, "{}")))


def prefixed(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays of one drawer of a file, without its name."""
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays[name] for name in names}


def gsa_options(described: Mapping[str, Any]) -> dict[str, Any]:
    """What names and shapes of a GSA module do not tell, for `convert.load`."""
    return {
        "num_heads": described["heads"],
        "query_softmax": described.get("norm_queries", False),
    }


def pglsum_options(described: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a PGL-SUM."""
    return {
        "position": described["pos_enc"],
        "frequency": described.get("freq", 10_000.0),
        "fusion": described.get("fusion", "add"),
    }


def manifest(
    letter: str, where: pathlib.Path | None = None
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published TransXNet's state dict, in its order."""
    path = (where or folder()) / "transxnet" / f"manifest_{letter}.json"
    text = path.read_text()
    return {name: tuple(shape) for name, shape, _ in json.loads(text)}


def made_weights(
    shapes: Mapping[str, tuple[int, ...]], seed: int = 0
) -> dict[str, np.ndarray]:
    """Weights away from trivial values, each a function of its name and the seed."""
    return {name: _made(name, shape, seed) for name, shape in shapes.items()}


def _made(name, shape, seed):
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    n = np.random.RandomState(zlib.crc32(name.encode()) ^ seed).standard_normal(shape)
    if name.endswith("running_mean"):
        n = 0.3 * n
    elif name.endswith("running_var"):
        n = np.exp(0.3 * n)
    elif "relative_pos_enc" in name:
        n = 0.8 * n
    elif "layer_scale" in name and name.endswith("weight"):
        n = 0.6 + 0.2 * n
    elif name.endswith("bias"):
        n = 0.2 * n
    elif len(shape) == 1:
        n = 1 + 0.25 * n
    else:
        n = _gain(name) * n / np.sqrt(_fan(name, shape))
    return n.astype(np.float32)


def _fan(name, shape):
    return np.prod(shape[2:] if name.endswith("local_unit.weight") else shape[1:])


def _gain(name):
    gains = {
        "local_unit.proj.1.weight": 2,
        ".q.weight": 1.5,
        ".kv.weight": 1.5,
        "pos_embed.weight": 0.5,
    }
    return next((gain for end, gain in gains.items() if name.endswith(end)), 1)
